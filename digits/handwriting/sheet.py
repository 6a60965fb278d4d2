"""A contact sheet: every picture, what the network saw of it, and what it read."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from digits.core.errors import one_line

SIDE = 112  # pixels of a picture on the sheet, four for each of the network's
GAP = 8
LINES = 3  # of text below
LINE = 14  # pixels
COLUMNS = 6
MOST = 600  # pictures on a sheet; more would not fit into one that programs open
WRITTEN = 34  # characters of a line
# DejaVu Sans, which has more scripts than Pillow's own; from Matplotlib, whose import takes long
MATPLOTLIB = find_spec("matplotlib")
FONT = (
    Path((MATPLOTLIB and MATPLOTLIB.origin) or "").with_name("mpl-data")
    / "fonts/ttf/DejaVuSans.ttf"
)

Row = dict[str, str | int | float]


@dataclass(frozen=True)
class Found:
    """What is known of a picture or of a digit in it.

    row: as `digits.predict --json` prints it. small: the picture's thumbnail, if it could be read.
    image: what the network sees, a raw image, if there is anything; light on dark if is_inverted.
    """

    row: Row
    small: Image.Image | None = None
    image: npt.NDArray[np.uint8] | None = None
    is_inverted: bool = True


def thumbnail(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    """A picture, grey or in colour, at the size that it has on the sheet."""
    picture = Image.fromarray(pixels)
    factor = SIDE / max(picture.size)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height))


def draw(results: Sequence[Found]) -> bytes:
    """The sheet as PNG: the pictures in their order, from left to right; at most 600."""
    results = results[:MOST]
    width, height = 2 * SIDE + 3 * GAP, SIDE + GAP + LINES * LINE + GAP
    columns = max(1, min(COLUMNS, len(results)))
    size = columns * width, max(1, -(-len(results) // columns)) * height
    whole = Image.new("RGB", size, "white")
    for number, found in enumerate(results):
        row, column = divmod(number, columns)
        _draw_one(whole, found, column * width + GAP, row * height + GAP)
    file = io.BytesIO()
    whole.save(file, "png")
    return file.getvalue()


def _draw_one(whole: Image.Image, found: Found, left: int, top: int) -> None:
    if found.small is not None:
        whole.paste(found.small, (left, top))
    if found.image is not None:
        pixels = 255 - found.image if found.is_inverted else found.image
        seen = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        whole.paste(seen, (left + SIDE + GAP, top))
    pen = ImageDraw.Draw(whole)
    for place in (left, left + SIDE + GAP):
        pen.rectangle([place - 1, top - 1, place + SIDE, top + SIDE], outline="silver")
    row = found.row
    page = f", page {row['page']}" if "page" in row else ""
    read = ""
    if "probability" in row:
        read = f"{row.get('digit', row.get('class'))}  {100 * float(row['probability']):.2f} %"
    remark = str(row.get("error") or row.get("note") or "")
    font = ImageFont.truetype(FONT, 10)
    for number, text in enumerate([f"{row['image']}{page}", read, remark]):
        line = one_line(text, WRITTEN)
        pen.text((left, top + SIDE + GAP + number * LINE), line, fill="black", font=font)
