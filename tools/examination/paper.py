"""A digit on a sheet of paper, alone and with what else is found on paper."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tools.examination import light

SIDE = 200  # pixels of most pictures
BORDER = SIDE - 1
Digit = npt.NDArray[np.uint8]
Kind = Callable[[Digit, np.random.Generator], Image.Image]


def scaled(digit: Digit, side: int) -> Image.Image:
    """The digit's 28x28 pixels at another size."""
    return Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)


def written(
    digit: Digit,
    rng: np.random.Generator,
    margin: int = 0,
    size: tuple[int, int] = (90, 150),
    paper: tuple[int, int] = (225, 256),
    ink: tuple[int, int] = (0, 40),
) -> Image.Image:
    """Dark ink somewhere on light paper, at least `margin` pixels from its border."""
    side = int(rng.integers(size[0], min(size[1], SIDE - 2 * margin) + 1))
    left, top = (int(each) for each in rng.integers(margin, SIDE - margin - side + 1, 2))
    canvas = Image.new("L", (SIDE, SIDE), int(rng.integers(*paper)))
    canvas.paste(int(rng.integers(*ink)), (left, top), scaled(digit, side))
    return canvas


def frame(inset: int, width: int = 3) -> Kind:
    """A black rectangle around the digit, so many pixels from the border."""

    def kind(digit: Digit, rng: np.random.Generator) -> Image.Image:
        canvas = written(digit, rng, inset + width + 2)
        box = [inset, inset, BORDER - inset, BORDER - inset]
        ImageDraw.Draw(canvas).rectangle(box, outline=0, width=width)
        return canvas

    return kind


def dots(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Twelve dots of dust."""
    canvas = written(digit, rng)
    for _ in range(12):
        x, y, radius = *rng.integers(0, SIDE, 2), rng.uniform(1, 3)
        ImageDraw.Draw(canvas).circle((float(x), float(y)), radius, int(rng.integers(80)))
    return canvas


def neighbour(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """The edge of a second digit, the same one mirrored, at the border."""
    canvas = written(digit, rng, 22)
    other = scaled(digit[:, ::-1].copy(), int(rng.integers(90, 150)))
    other = other.crop(other.getbbox())
    shown, top = int(rng.integers(5, 18)), int(rng.integers(0, SIDE - other.height))
    left = SIDE - shown if rng.random() < 0.5 else shown - other.width
    canvas.paste(20, (left, top), other)
    return canvas


def ruled(
    gaps: tuple[int, int], greys: tuple[int, int], widths: tuple[int, int], both: bool
) -> Kind:
    """Paper with lines, or with squares."""

    def kind(digit: Digit, rng: np.random.Generator) -> Image.Image:
        gap = int(rng.integers(*gaps))
        grey, width = int(rng.integers(*greys)), int(rng.integers(*widths))
        lines = Image.new("L", (SIDE, SIDE), 255)
        for place in range(int(rng.integers(gap)), SIDE, gap):
            ImageDraw.Draw(lines).line([0, place, SIDE, place], grey, width)
            if both:
                ImageDraw.Draw(lines).line([place, 0, place, SIDE], grey, width)
        return light.darker(written(digit, rng), lines)

    return kind


def dark_edges(count: int) -> Kind:
    """Dark bars along one or all of the edges, as scanners leave them."""

    def kind(digit: Digit, rng: np.random.Generator) -> Image.Image:
        canvas = written(digit, rng, 14)
        width, level = int(rng.integers(2, 12)), int(rng.integers(60))
        far = BORDER - width
        bars = [(0, 0, BORDER, width), (0, far, BORDER, BORDER)]
        bars += [(top, left, bottom, right) for left, top, right, bottom in bars]
        for bar in rng.permutation(4)[:count]:
            ImageDraw.Draw(canvas).rectangle(bars[int(bar)], fill=level)
        return canvas

    return kind


def dark_corners(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Black triangles in all corners."""
    corners = Image.new("L", (SIDE, SIDE), 255)
    for x, right in ((0, 1), (BORDER, -1)):
        for y, down in ((0, 1), (BORDER, -1)):
            wide, high = (int(each) for each in rng.integers(8, 40, 2))
            triangle = [(x, y), (x + right * wide, y), (x, y + down * high)]
            ImageDraw.Draw(corners).polygon(triangle, fill=0)
    return light.darker(written(digit, rng, 4), corners)
