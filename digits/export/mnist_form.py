"""A picture of a digit brought to the form that MNIST's digits have.

As http://yann.lecun.com/exdb/mnist/ describes it: the digit is scaled to fit 20x20 pixels with
its proportions kept, and placed in 28x28 so that its centre of mass is in the middle. A digit from
MNIST comes out unchanged.
"""

from contextlib import suppress

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from digits.core.data_shape import IMAGE_SIZE
from digits.core.errors import UserError

BOX = 20  # pixels, the longer side of the digit
MIDDLE = 14  # index of the pixel on which MNIST's centres of mass round
LARGEST = 2000  # pixels, width or height; larger pictures are scaled down first
INK = 0.15  # share of the full contrast from which a pixel belongs to the digit
NOISE = 3  # paper varies by this many times the third quartile of the border's deviations
EVEN = 0.5  # light is taken as even if paper varies by this much of it around a plane
FAINT = 16 / 255  # contrast, of black on white, below which there is nothing to read


def as_mnist(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Grey levels uint8 `(28, 28)`, 0 for paper and 255 for ink, whichever of them was darker.

    The paper's colour is the one that most of the picture's border has, so there must be some
    paper around the digit.

    Raises:
        UserError: the picture is blank.
    """
    return _centre(_fit(_ink(_grey(picture))))


def _grey(picture: Image.Image) -> npt.NDArray[np.float32]:
    """Grey levels of any picture, 0 to 1: black to white, or to the brightest value of 16 bits."""
    picture = picture.copy()
    with suppress(Exception):  # Pillow's errors for broken EXIF have no common class
        ImageOps.exif_transpose(
            picture, in_place=True
        )  # it turns the picture before it writes EXIF
    if picture.has_transparency_data:
        picture = _on_paper(picture.convert("RGBA"))
    if picture.mode.startswith(("I", "F")):  # 16 bits and more, which "L" would clip
        levels = np.asarray(picture, np.float32)
        levels = np.nan_to_num(levels) / max(1.0, float(np.nan_to_num(levels).max()))
        picture = Image.fromarray(levels.clip(0, 1) * 255)
    else:
        picture = picture.convert("L")
    picture.thumbnail((LARGEST, LARGEST))
    return np.asarray(picture, np.float32) / np.float32(255)


def _on_paper(picture: Image.Image) -> Image.Image:
    """A transparent picture laid on white, or on black if its opaque part is bright."""
    grey, opacity = np.moveaxis(np.asarray(picture.convert("LA"), np.float32), 2, 0)
    brightness = float((grey * opacity).sum() / max(1.0, float(opacity.sum())))
    paper = Image.new("RGBA", picture.size, "white" if brightness < 128 else "black")
    return Image.alpha_composite(paper, picture)


def _ink(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How much ink each pixel has, 0 to 1: its difference from the paper, less the paper's noise.

    Raises:
        UserError: nothing differs from the paper.
    """
    apart = grey - _paper(grey)
    noise = NOISE * _spread(_border(apart))
    darker, brighter = float(-apart.min()), float(apart.max())
    contrast = max(darker, brighter)
    if contrast < max(FAINT, 2 * noise):
        raise UserError(
            "nothing is drawn on it, or its paper is lit too unevenly: no part of it stands out "
            "from its border"
        )
    strength = (-apart if darker > brighter else apart) - noise
    return (strength / (contrast - noise)).clip(0, 1).astype(np.float32)


def _paper(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | np.floating:
    """The paper's level: the same everywhere or, where light falls off, a plane `(H, W)`.

    The plane is fitted to the border by least squares, and used where it fits much better.
    """
    border = _border(grey)
    level = np.median(border)
    rows, columns = np.ix_(*(np.linspace(-1, 1, side) for side in grey.shape))
    slopes = [_border(np.broadcast_to(axis, grey.shape)) for axis in (rows, columns)]
    places = np.stack([np.ones_like(border), *slopes], 1)
    middle, down, right = np.linalg.lstsq(places, border)[0]
    plane = (middle + down * rows + right * columns).astype(np.float32)
    is_even = _spread(_border(grey - plane)) >= EVEN * _spread(border - level)
    return level if is_even else plane


def _border(levels: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The pixels of the first and last row and column."""
    return np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])


def _spread(apart: npt.NDArray[np.floating]) -> np.floating:
    """The third quartile of the absolute values."""
    return np.quantile(np.abs(apart), 0.75)


def _fit(ink: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The digit scaled so that its longer side has 20 pixels and its strongest ink is 1.

    Faint ink around it is kept, up to a pixel's width.
    """
    rows, columns = (np.nonzero((ink > INK).any(axis))[0] for axis in (1, 0))
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    edge = round(longer / BOX)
    padded = np.pad(ink, edge)
    digit = padded[rows[0] : rows[-1] + 1 + 2 * edge, columns[0] : columns[-1] + 1 + 2 * edge]
    if longer != BOX:
        height, width = (max(1, round(side * BOX / longer)) for side in digit.shape)
        scaled = Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC)
        digit = np.asarray(scaled).clip(0)
    return digit / digit.max()


def _centre(digit: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The digit in 28x28, moved by whole pixels so that its centre of mass is in the middle."""
    placed = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    starts = [
        int(np.clip(round(MIDDLE - _centre_of_mass(digit.sum(other))), 0, IMAGE_SIZE - length))
        for other, length in ((1, digit.shape[0]), (0, digit.shape[1]))
    ]
    (top, left), (height, width) = starts, digit.shape
    placed[top : top + height, left : left + width] = np.rint(255 * digit)
    return placed


def _centre_of_mass(weights: npt.NDArray[np.float32]) -> float:
    return float((np.arange(len(weights)) * weights).sum() / weights.sum())
