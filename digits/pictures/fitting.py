"""Bring a picture to the size and the channels that a network reads."""

from contextlib import suppress

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from digits.core.data_shape import SIZES
from digits.core.errors import UserError

Pixels = npt.NDArray[np.uint8]
Size = tuple[int, int]
SMOOTH = Image.Resampling.LANCZOS


def fitted(picture: Image.Image, size: int | None, channels: int, fit: str) -> Pixels:
    """A picture as uint8 `(size, size)`, or `(size, size, 3)` in colour; it is turned upright.

    Args:
        picture: of any size and mode. What is transparent becomes white.
        size: height and width; None for a picture that is to keep its own.
        channels: 1 for grey, 3 for colour.
        fit: `pad` keeps all of it and continues its edges, `crop` keeps the middle, `stretch`
            changes its proportions.

    Raises:
        UserError: it would have to be scaled, and `size` is None; or its pixels are floats.
    """
    if size and max(picture.size) > 4 * size:
        picture.draft("RGB" if channels == 3 else "L", (2 * size, 2 * size))  # quick, for JPEG
    with suppress(Exception):  # Pillow's errors for broken EXIF have no common class
        ImageOps.exif_transpose(picture, in_place=True)
    picture = _plain(picture).convert("RGB" if channels == 3 else "L")
    width, height = picture.size
    if not size:
        if width != height or width not in SIZES:
            raise UserError(
                f"has {width}x{height} pixels; set preprocess.image_size in params.yaml, "
                f"{SIZES[0]} to {SIZES[-1]}, and pictures are brought to it"
            )
        size = width
    if (width, height) == (size, size) or fit == "stretch":
        return np.asarray(picture.resize((size, size), SMOOTH))
    if fit == "crop":
        return np.asarray(ImageOps.fit(picture, (size, size), SMOOTH))
    return _padded(picture, size)


def _padded(picture: Image.Image, size: int) -> Pixels:
    longer = max(picture.size)
    width, height = (max(1, round(side * size / longer)) for side in picture.size)
    pixels = np.asarray(picture.resize((width, height), SMOOTH))
    top, left = (size - height) // 2, (size - width) // 2
    border = [(top, size - height - top), (left, size - width - left), (0, 0)]
    return np.pad(pixels, border[: pixels.ndim], mode="edge")


def _plain(picture: Image.Image) -> Image.Image:
    """Eight bits a channel, and nothing transparent."""
    if picture.mode.startswith("F"):
        raise UserError("has floating-point pixels; save it with 8 or 16 bits a channel")
    if picture.mode.startswith("I"):  # 16 bits, which "L" would clip
        return Image.fromarray((np.asarray(picture).clip(0, 65535) / 257).round().astype(np.uint8))
    if picture.has_transparency_data:
        whole = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)
    return picture
