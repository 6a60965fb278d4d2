"""Ways to bring a picture to MNIST's form: ours, and two that tutorials show."""

import io
from zlib import crc32

import numpy as np
import numpy.typing as npt
from PIL import Image

from digits.core.errors import UserError
from digits.handwriting import picture_file
from digits.handwriting.mnist_form import largest_digit
from digits.handwriting.paper import threshold
from tools.examination.kinds import KINDS, Digit

Form = npt.NDArray[np.uint8]
NOTHING = np.zeros((28, 28), np.uint8)


def ours(picture: Image.Image) -> Form:
    """As `digits.predict`, from the bytes of a PNG; nothing if it is refused."""
    file = io.BytesIO()
    picture.save(file, "png")
    try:
        ((_, grey),) = picture_file.pages(file.getvalue())
        return largest_digit(grey)
    except UserError:
        return NOTHING


def tutorial(picture: Image.Image) -> Form:
    """Grey, 28x28, and inverted if it is brighter than dark."""
    values = np.asarray(picture.convert("L").resize((28, 28)))
    return 255 - values if values.mean() > 127 else values


def otsu(picture: Image.Image) -> Form:
    """Otsu's threshold, the box of all ink in 20x20, its centre of mass in the middle."""
    grey = np.asarray(picture.convert("L"), np.float32)
    dark = grey <= threshold(grey)
    ink = dark if dark.mean() < 0.5 else ~dark
    rows, columns = (np.nonzero(ink.any(axis))[0] for axis in (1, 0))
    if not len(rows):
        return NOTHING
    part = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    factor = 20 / max(part.size)
    size = [max(1, round(side * factor)) for side in part.size]
    levels = np.asarray(part.convert("L").resize((size[0], size[1]), Image.Resampling.BICUBIC))
    placed, total = NOTHING.copy(), max(1, int(levels.sum()))
    top, left = (
        int(np.clip(round(14 - (levels.sum(1 - axis) @ np.arange(side)) / total), 0, 28 - side))
        for axis, side in enumerate(levels.shape)
    )
    placed[top : top + levels.shape[0], left : left + levels.shape[1]] = levels
    return placed


def forms_of(kind: str, numbered: tuple[int, Digit]) -> list[Form]:
    """One digit drawn as a kind, in MNIST's form: ours, Otsu's and the tutorials'."""
    number, digit = numbered
    rng = np.random.default_rng([crc32(kind.encode()), number])
    picture = KINDS[kind](digit, rng) if kind in KINDS else Image.fromarray(digit)
    return [way(picture) for way in (ours, otsu, tutorial)]
