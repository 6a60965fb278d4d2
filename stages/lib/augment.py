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
    """Slant, scale, rotate, then shift, every image by random amounts, all in one move.

    Slants are uniform within +-`shear` degrees, factors of size within 1 +-`scale`, angles within
    +-`rotation` degrees, shifts within +-`translation` of the width in x and in y. What comes in
    at the edges is 0; a pixel is looked up once. Zero strength returns `images`.

    With `interpolation: nearest` shifts are rounded to whole pixels; without slant and scale
    these are torchvision's RandomRotation and RandomAffine at their defaults.

    Args:
        images: float32 `(N, 1, H, W)`, background 0.
        strength: how far to go.
        generator: on the device of `images`.

    Returns:
        float32, shaped as `images`.
    """
    if not (strength.rotation or strength.translation or strength.scale or strength.shear):
        return images
    random = torch.rand(len(images), 5, generator=generator, device=images.device) * 2 - 1
    angle = torch.deg2rad(random[:, 0] * strength.rotation)
    shift = random[:, 1:3] * (strength.translation * images.shape[-1])
    size = 1 + random[:, 3] * strength.scale
    slant = torch.tan(torch.deg2rad(random[:, 4] * strength.shear))
    if strength.interpolation == "nearest":
        shift = shift.round()
    return F.grid_sample(
        images,
        _grid(angle, shift, size, slant, images.shape[-1]),
        mode=strength.interpolation,
        padding_mode="zeros",
        align_corners=False,
    )


def _grid(
    angle: torch.Tensor, shift: torch.Tensor, size: torch.Tensor, slant: torch.Tensor, width: int
) -> torch.Tensor:
    """Where each pixel of the result lies in the original, as grid_sample wants it.

    The pixel at p shows the original at S R(-angle) (p - shift) / size, where p is counted from
    the centre and S moves x by slant * y. The plane is one of complex numbers, where turning is
    multiplying: a third of the time of F.affine_grid, which takes a batched matrix product.
    """
    axis = (torch.arange(width, device=angle.device) - (width - 1) / 2) * (2 / width)
    plane = torch.complex(axis.expand(width, width), axis.view(-1, 1).expand(width, width))
    offset = torch.view_as_complex(shift * (2 / width)).view(-1, 1, 1)
    turn = torch.polar(1 / size, -angle).view(-1, 1, 1)
    grid = torch.view_as_real((plane - offset).mul_(turn))
    grid[..., 0].addcmul_(slant.view(-1, 1, 1), grid[..., 1])
    return grid
