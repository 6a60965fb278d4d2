"""What `model.blocks` and `model.hidden` mean: the only interpreter of that language."""

import re
from collections.abc import Sequence
from typing import Protocol

from digits.core.data_shape import MNIST, DataShape
from digits.core.errors import UserError, did_you_mean
from digits.network.layers import WORDS, ConvBlock, Layer, Linear, Shape


class Architecture(Protocol):
    """`model` of params.yaml, or what the header of a model file says of it."""

    @property
    def blocks(self) -> Sequence[int | str]: ...  # noqa: D102
    @property
    def bias_free(self) -> bool: ...  # noqa: D102
    @property
    def hidden(self) -> int | None: ...  # noqa: D102
    @property
    def dropout(self) -> float: ...  # noqa: D102


def layers_of(architecture: Architecture, data: DataShape = MNIST) -> list[Layer]:
    """The layers of a network, from normalised images of this shape to a logit for each class.

    Raises:
        UserError: a word that means nothing, nothing left of the image, no convolution.
    """
    layers, blocks = list[Layer](), architecture.blocks
    shape, convolutions = Shape(data.channels, data.size), 0
    for place, block in enumerate(blocks):
        channels, padding = _channels(block)
        if channels:
            convolutions += 1
            has_bias = not architecture.bias_free
            layers.append(ConvBlock(convolutions, shape, channels, padding, has_bias))
        elif block not in WORDS:
            words = ", ".join(f"'{word}'" for word in WORDS)
            hint = did_you_mean(str(block), WORDS)
            raise UserError(
                f"model.blocks.{place} is {str(block)[:60]!r}: {hint}should be {words} or a whole "
                "number of channels, 1 to 1024, such as 8 or '8 valid'"
            )
        else:
            layers.append(WORDS[block](shape))
        shape = layers[-1].output
        if shape.size < 1:
            raise UserError(
                f"model.blocks is {blocks}: {block!r} at place {place} leaves nothing of the "
                f"{data.size}x{data.size} pixels"
            )
    if not convolutions:
        raise UserError(f"model.blocks is {blocks}: no convolution; at least one number is needed")
    widths = [*([architecture.hidden] if architecture.hidden else []), len(data.classes)]
    for number, outputs in enumerate(widths, start=1):
        layers.append(Linear(number, shape, outputs, last=number == len(widths)))
        shape = layers[-1].output
    return layers


def _channels(block: int | str) -> tuple[int, int]:
    """The channels of a convolution and its padding, from `8` or `8 valid`; no channels else."""
    if isinstance(block, int):
        return block, 1
    valid = re.fullmatch(r"(\d{1,4}) valid", block)
    channels = int(valid[1]) if valid else 0
    return (channels, 0) if channels <= 1024 else (0, 0)
