"""Open a picture file that may be damaged, hostile or no picture at all."""

import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePath

from PIL import Image, UnidentifiedImageError

from digits.core.errors import UserError, one_line

FORMATS = ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", "AVIF", "TGA", "ICO"]
HEIC_SUFFIXES = {".heic", ".heif"}
HEIC = b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"  # brands of a telephone's file
PIXELS = 25_000_000  # a larger picture is refused, because decoding takes up to 20 bytes a pixel
JPEG_PIXELS = 100_000_000  # the same; JPEG can be decoded at an eighth of its size


def has_picture_suffix(name: str) -> bool:
    """Whether a file's name ends as those of pictures do that can be opened here."""
    suffix = PurePath(name).suffix.lower()
    kind = Image.registered_extensions().get(suffix)
    return kind in (*FORMATS, "HEIF") or suffix in HEIC_SUFFIXES


@contextmanager
def opened(content: bytes) -> Generator[Image.Image]:
    """The picture in these bytes; what Pillow says against it while it is used is an error, too.

    Raises:
        UserError: not a picture, in a format that is not read, damaged, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on pictures that it can read
            with _open(content) as picture:
                check_size(picture)
                yield picture
    except (UserError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"too large: {one_line(str(error))}") from None
    except UnidentifiedImageError:
        raise UserError(_other_format(content)) from None
    except Exception as error:  # Pillow's errors for damaged files have no common class
        problem = one_line(str(error)) or type(error).__name__
        raise UserError(f"cannot be read as a picture: {problem}") from None


def _open(content: bytes) -> Image.Image:
    if content[4:8] == b"ftyp" and content[8:12] in HEIC and find_spec("pillow_heif"):
        import_module("pillow_heif.HeifImagePlugin")  # it registers the format
        return Image.open(io.BytesIO(content), formats=["HEIF"])
    return Image.open(io.BytesIO(content), formats=FORMATS)


def check_size(picture: Image.Image) -> None:
    """Refuse a page with more pixels than are read."""
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
