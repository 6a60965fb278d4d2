"""Read a picture file: the grey levels of each of its pages."""

import io
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.core.errors import UserError, one_line
from digits.handwriting.paper import Levels

FORMATS = ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", "AVIF", "TGA", "ICO"]
HEIC = b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"  # brands of a telephone's file
PIXELS = 25_000_000  # a larger picture is refused, because decoding takes up to 20 bytes a pixel
JPEG_PIXELS = 100_000_000  # the same; JPEG can be decoded at an eighth of its size
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on pictures that it can read
            with _opened(content) as picture:
                number = getattr(picture, "n_frames", 1)
                if number > PAGES:
                    raise UserError(f"{number} pages, at most {PAGES} are read; split it")
                for page in range(number):
                    picture.seek(page)
                    _check_size(picture)
                    yield page + 1 if number > 1 else 0, grey_levels(picture)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"too large: {one_line(str(error))}") from None
    except UnidentifiedImageError:
        raise UserError(_other_format(content)) from None
    except Exception as error:  # Pillow's errors for damaged files have no common class
        problem = one_line(str(error)) or type(error).__name__
        raise UserError(f"cannot be read as a picture: {problem}") from None


def _opened(content: bytes) -> Image.Image:
    if content[4:8] == b"ftyp" and content[8:12] in HEIC and find_spec("pillow_heif"):
        import_module("pillow_heif.HeifImagePlugin")  # it registers the format
        return Image.open(io.BytesIO(content), formats=["HEIF"])
    return Image.open(io.BytesIO(content), formats=FORMATS)


def _check_size(picture: Image.Image) -> None:
    most = JPEG_PIXELS if picture.format == "JPEG" else PIXELS
    if picture.width * picture.height > most:
        raise UserError(
            f"too large: {picture.width:,} x {picture.height:,} pixels, at most {most:,} are "
            "read; scale it down or crop it"
        )


def _other_format(content: bytes) -> str:
    """What to do with a file that is no picture of the formats that are read."""
    if content[4:8] == b"ftyp" and content[8:12] in HEIC:
        return "a HEIC picture, which needs a package: pip install pillow-heif; or save it as JPEG"
    start = content[:1024].lstrip()
    if start.startswith(b"%PDF"):
        return "a PDF, no picture; save its page as PNG, for instance with pdftoppm -png"
    if b"<svg" in start:
        return "an SVG drawing, no picture; export it as PNG"
    names = ", ".join(FORMATS)
    return f"not a picture in a format that is read ({names})"


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
