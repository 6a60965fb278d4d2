"""Random augmentation, each image by its own amount.

The affine transform draws from the generator that it is given, as it always has, because the
published models depend on those draws. An augmentation added later draws from `fork`, so that it
leaves the random numbers of everything else alone.
"""

import hashlib

import torch
import torch.nn.functional as F

from digits.core.config import Augmentation


def augment(images: torch.Tensor, augmentation: Augmentation, rng: torch.Generator) -> torch.Tensor:
    """Every image changed by its own random amounts; unchanged if everything is off.

    Args:
        images: float32 `(N, channels, H, W)`, 0 to 255.
        augmentation: the amounts.
        rng: on the device of `images`.

    Returns:
        float32, shaped as `images`.
    """
    images = _affine(images, augmentation, rng)
    images = _flip(images, augmentation, rng)
    return _jitter(images, augmentation, rng)


def fork(rng: torch.Generator, purpose: str) -> torch.Generator:
    """A generator for one purpose, determined by the state of `rng`, which it does not advance.

    A checkpoint that restores `rng` restores all its forks.
    """
    state = rng.get_state().numpy().tobytes()
    digest = hashlib.sha256(purpose.encode() + state).digest()
    return torch.Generator(rng.device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def _affine(images: torch.Tensor, augmentation: Augmentation, rng: torch.Generator) -> torch.Tensor:
    """Shear, scale, rotate, then shift, in a single resampling.

    Shears are uniform within +-`shear` degrees, scale factors within 1 +-`scale`, angles within
    +-`rotation` degrees, shifts within +-`translation` of the width in x and in y. Pixels that
    come in at the edges are 0, or with `padding: border` those of the edge.

    With `interpolation: nearest` shifts are rounded to whole pixels; without shear and scale
    these are torchvision's RandomRotation and RandomAffine at their defaults.
    """
    amounts = (
        augmentation.rotation, augmentation.translation, augmentation.scale, augmentation.shear
    )  # fmt: skip
    if not any(amounts):
        return images
    rotation, translation, scale, shear = amounts
    random = torch.rand(len(images), 5, generator=rng, device=images.device) * 2 - 1
    angle = torch.deg2rad(random[:, 0] * rotation)
    shift = random[:, 1:3] * (translation * images.shape[-1])
    factor = 1 + random[:, 3] * scale
    slope = torch.tan(torch.deg2rad(random[:, 4] * shear))
    if augmentation.interpolation == "nearest":
        shift = shift.round()
    return F.grid_sample(
        images,
        _grid(angle, shift, factor, slope, images.shape[-1]),
        mode=augmentation.interpolation,
        padding_mode=augmentation.padding,
        align_corners=False,
    )


def _grid(
    angle: torch.Tensor, shift: torch.Tensor, factor: torch.Tensor, slope: torch.Tensor, width: int
) -> torch.Tensor:
    """Where each pixel of the result lies in the original, as grid_sample expects it.

    The pixel at p shows the original at S R(-angle) (p - shift) / factor, where p is counted from
    the centre and S moves x by slope * y. Points are complex numbers, which turns a rotation into
    a product: a third of the time of F.affine_grid, which needs a batched matrix product.
    """
    axis = (torch.arange(width, device=angle.device) - (width - 1) / 2) * (2 / width)
    plane = torch.complex(axis.expand(width, width), axis.view(-1, 1).expand(width, width))
    offset = torch.view_as_complex(shift * (2 / width)).view(-1, 1, 1)
    turn = torch.polar(1 / factor, -angle).view(-1, 1, 1)
    grid = torch.view_as_real((plane - offset).mul_(turn))
    grid[..., 0].addcmul_(slope.view(-1, 1, 1), grid[..., 1])
    return grid


def _flip(images: torch.Tensor, augmentation: Augmentation, rng: torch.Generator) -> torch.Tensor:
    """Each image mirrored with probability 1/2, in every direction that is on."""
    for name, dimension in (("horizontal_flip", 3), ("vertical_flip", 2)):
        if getattr(augmentation, name):
            random = torch.rand(len(images), generator=fork(rng, name), device=images.device)
            is_flipped = (random < 0.5).view(-1, 1, 1, 1)
            images = torch.where(is_flipped, images.flip(dimension), images)
    return images


def _jitter(images: torch.Tensor, augmentation: Augmentation, rng: torch.Generator) -> torch.Tensor:
    """Brightness, contrast and saturation times a factor within 1 +- each, within 0 to 255."""
    for name in ("brightness", "contrast", "saturation"):
        amount = getattr(augmentation, name)
        if not amount:
            continue
        random = torch.rand(len(images), generator=fork(rng, name), device=images.device)
        factor = 1 + amount * (2 * random.view(-1, 1, 1, 1) - 1)
        grey = images.mean(1, keepdim=True)
        towards = {"brightness": 0, "contrast": grey.mean((2, 3), keepdim=True), "saturation": grey}
        images = torch.lerp(torch.zeros_like(images) + towards[name], images, factor)
        images = images.clamp(0, 255)
    return images
