"""Read a picture file: the grey levels of each of its pages."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps

from digits.core.errors import UserError
from digits.handwriting.paper import Levels
from digits.pictures.opening import check_size, opened

PAGES = 100  # of a file; more are refused
AREA = 1_000_000  # pixels; a larger picture is scaled down to as many
SEEN = 128  # opacity from which a pixel is seen
TWO_TONED = 64  # levels between a transparent picture's paper and ink, if both are in it


def pages(content: bytes) -> Iterator[tuple[int, Levels]]:
    """The number of every page, 0 if there is only one, and its grey levels, read when asked for.

    Levels are float32 `(H, W)`: 0 for black, 1 for white or the brightest value.

    Raises:
        UserError: not a picture, in a format that is not read, damaged, or too large.
    """
    with opened(content) as picture:
        number = getattr(picture, "n_frames", 1)
        if number > PAGES:
            raise UserError(f"{number} pages, at most {PAGES} are read; split it")
        for page in range(number):
            picture.seek(page)
            check_size(picture)
            yield page + 1 if number > 1 else 0, grey_levels(picture)


def grey_levels(picture: Image.Image) -> Levels:
    """Grey levels of one picture, see `pages`; scaled down to a million pixels if it has more."""
    picture = _reduced(picture)
    with suppress(Exception):  # Pillow's errors for broken EXIF have no common class
        ImageOps.exif_transpose(picture, in_place=True)  # turns it before it writes EXIF
    if picture.has_transparency_data:
        picture = _on_paper(picture.convert("RGBA"))
    if picture.mode.startswith(("I", "F")):  # 16 bits and more, which "L" would clip
        levels = np.nan_to_num(np.asarray(picture, np.float32))
        levels /= max(1.0, float(levels.max()))
        picture = Image.fromarray(levels.clip(0, 1) * 255)
    else:
        picture = picture.convert("L")
    factor = (picture.width * picture.height / AREA) ** 0.5
    if factor > 1:
        width, height = (max(1, round(side / factor)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    return np.asarray(picture, np.float32) / np.float32(255)


def _reduced(picture: Image.Image) -> Image.Image:
    """A copy; of a large picture, one that takes less memory but has a million pixels at least."""
    factor = int((picture.width * picture.height / AREA) ** 0.5)
    if factor < 2:
        return picture.copy()
    picture.draft(picture.mode, (picture.width // factor, picture.height // factor))
    factor = int((picture.width * picture.height / AREA) ** 0.5)
    if picture.mode in ("1", "P", "PA"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "L")
    elif picture.mode.startswith("I;"):
        picture = picture.convert("I")
    return picture.reduce(max(1, factor))


def _on_paper(picture: Image.Image) -> Image.Image:
    """A transparent picture laid on its own paper, if that is seen; else on what shows its ink."""
    grey, opacity = np.moveaxis(np.asarray(picture.convert("LA")), 2, 0)
    seen = grey[opacity >= SEEN]
    level = 255
    if seen.size:
        darkest, middle, brightest = np.quantile(seen, [0.02, 0.5, 0.98])
        is_on_paper = brightest - darkest > TWO_TONED
        level = int(middle) if is_on_paper else 255 * (middle < SEEN)
    paper = Image.new("RGBA", picture.size, (level, level, level, 255))
    return Image.alpha_composite(paper, picture)
