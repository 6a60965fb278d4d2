"""What `model.blocks` and `model.hidden` mean: the only interpreter of that language."""

from digits.core.config import Architecture
from digits.core.data_shape import CLASSES, IMAGE_SIZE
from digits.core.errors import UserError, did_you_mean
from digits.network.layers import WORDS, ConvBlock, Layer, Linear, Shape


def layers_of(architecture: Architecture) -> list[Layer]:
    """The layers of a network, from normalised images to logits.

    Raises:
        UserError: a word that means nothing, more pooling than there are pixels, no convolution.
    """
    layers, blocks = list[Layer](), architecture.blocks
    shape, convolutions = Shape(1, IMAGE_SIZE), 0
    for place, block in enumerate(blocks):
        if isinstance(block, int):
            convolutions += 1
            layers.append(ConvBlock(convolutions, shape, block))
        elif block not in WORDS:
            words = ", ".join(f"'{word}'" for word in WORDS)
            hint = did_you_mean(block, WORDS)
            raise UserError(
                f"model.blocks.{place} is {block[:60]!r}: {hint}should be {words} or a whole "
                "number of channels, 1 to 1024"
            )
        else:
            layers.append(WORDS[block](shape))
        shape = layers[-1].output
        if shape.size == 0:
            raise UserError(
                f"model.blocks is {blocks}: {block!r} at place {place} leaves nothing of the "
                f"{IMAGE_SIZE}x{IMAGE_SIZE} pixels"
            )
    if not convolutions:
        raise UserError(f"model.blocks is {blocks}: no convolution; at least one number is needed")
    widths = [*([architecture.hidden] if architecture.hidden else []), CLASSES]
    for number, outputs in enumerate(widths, start=1):
        layers.append(Linear(number, shape, outputs, last=number == len(widths)))
        shape = layers[-1].output
    return layers
