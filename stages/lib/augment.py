"""Random moves of digits, each image by its own amount."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from stages.lib.parameters import Augment
from stages.lib.splits import Split

AT_ONCE = 1024  # images that are moved together: half the time of moving 128 at a time


def batches(
    split: Split, size: int, strength: Augment, generator: torch.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Every image of a split once, in random order, moved and normalised.

    Args:
        split: on the device of `generator`.
        size: images per batch; the last batch holds what is left.
        strength: how far to move them.
        generator: draws the order and the moves.

    Yields:
        images float32 `(size, 1, H, W)` and their labels uint8 `(size,)`.
    """
    order = torch.randperm(len(split), generator=generator, device=generator.device)
    for indices in order.split(size * max(1, AT_ONCE // size)):
        images = split.images.index_select(0, indices).unsqueeze(1).float()
        images = split.normalisation(augment(images, strength, generator))
        yield from zip(images.split(size), split.labels[indices].split(size), strict=True)


def augment(images: torch.Tensor, strength: Augment, generator: torch.Generator) -> torch.Tensor:
    """Rotate, then shift, every image by random amounts; what comes in at the edges is 0.

    Angles are uniform within +-`rotation` degrees, shifts within +-`translation` of the width
    in x and in y. With `interpolation: nearest` shifts are rounded to whole pixels, which
    together are torchvision's RandomRotation and RandomAffine at their defaults; the two moves
    are one here, so that a pixel is looked up once. Zero strength returns `images`.

    Args:
        images: float32 `(N, 1, H, W)`, background 0.
        strength: how far to go.
        generator: on the device of `images`.

    Returns:
        float32, shaped as `images`.
    """
    if strength.rotation == 0 and strength.translation == 0:
        return images
    random = torch.rand(len(images), 3, generator=generator, device=images.device) * 2 - 1
    angle = torch.deg2rad(random[:, 0] * strength.rotation)
    shift = random[:, 1:] * (strength.translation * images.shape[-1])
    if strength.interpolation == "nearest":
        shift = shift.round()
    return F.grid_sample(
        images,
        _grid(angle, shift, images.shape[-1]),
        mode=strength.interpolation,
        padding_mode="zeros",
        align_corners=False,
    )


def _grid(angle: torch.Tensor, shift: torch.Tensor, size: int) -> torch.Tensor:
    """Where each pixel of the result lies in the original, as grid_sample wants it.

    The pixel at p shows the original at R(-angle) (p - shift), with p counted from the centre.
    The plane is one of complex numbers, where turning is multiplying: a third of the time of
    F.affine_grid, which takes a batched matrix product.
    """
    axis = (torch.arange(size, device=angle.device) - (size - 1) / 2) * (2 / size)
    plane = torch.complex(axis.expand(size, size), axis.view(-1, 1).expand(size, size))
    offset = torch.view_as_complex(shift * (2 / size)).view(-1, 1, 1)
    turn = torch.polar(torch.ones_like(angle), -angle).view(-1, 1, 1)
    return torch.view_as_real((plane - offset).mul_(turn))
