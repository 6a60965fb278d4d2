"""A digit brought to the form that MNIST's digits have.

As http://yann.lecun.com/exdb/mnist/ describes it: the digit is scaled to fit 20x20 pixels with
its proportions kept, and placed in 28x28 so that its centre of mass is in the middle. Strokes that
come out paler than MNIST's, because they are thin, blurred or of few pixels, are made as dark.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from digits.core.data_shape import IMAGE_SIZE
from digits.handwriting.paper import Levels, ink_of
from digits.handwriting.parts import drawings

BOX = 20  # pixels, the longer side of the digit
ENLARGED = 19  # the same for a digit of fewer pixels, whose edge pixels are half empty
MIDDLE = 14  # index of the pixel on which MNIST's centres of mass round
MARGIN = 2  # pixels around the digit for its soft edge
ALMOST = 0.6  # pixels; a digit whose longer side is that close to 20 keeps its pixels
INKED = 0.1  # level from which a pixel counts as ink
SHARP = 0.62  # mean level of the ink in 28x28 pixels; MNIST's digits have 0.61 to 0.81
THIN = 0.5  # the same, below which strokes are thin
FULL = 0.9  # level from which a pixel is full of ink
SOFT = 0.77  # share of the ink's pixels that are not full, above which the picture is blurred
STRONG, CRISP = 0.67, 0.7  # what thin and what blurred strokes are brought to
BLUR = 1.5  # pixels, the standard deviation of the blur that is taken away
MOST = 6.0  # how many times
STEPS = 8  # of bisection


def largest_digit(grey: Levels) -> npt.NDArray[np.uint8]:
    """The largest digit of a picture in MNIST's form, uint8 `(28, 28)`.

    Args:
        grey: levels of 0 to 1, float32 `(H, W)`, as `picture_file.pages` gives them.

    Raises:
        UserError: nothing is drawn on it.
    """
    return mnist_form(drawings(*ink_of(grey))[0].ink)


def mnist_form(ink: Levels) -> npt.NDArray[np.uint8]:
    """Grey levels uint8 `(28, 28)`, 0 for paper and 255 for ink.

    Args:
        ink: float32 `(H, W)`, 0 for paper and 1 for ink, of one digit and nothing else.
    """
    return _centre(_fit(ink))


def _fit(ink: Levels) -> Levels:
    """The digit with a longer side of 20 pixels, and a margin around it."""
    (top, bottom), (left, right) = _ends(ink.max(1)), _ends(ink.max(0))
    height, width = bottom - top, right - left
    longer = max(height, width)
    if abs(longer - BOX) < ALMOST:
        rows, columns = (
            slice(int(np.floor(start + 0.3)) + 1, int(np.ceil(end - 0.3)) + 1 + 2 * MARGIN)
            for start, end in ((top, bottom), (left, right))
        )
        return np.pad(ink, 1 + MARGIN)[rows, columns]
    scale = (BOX if longer > BOX else ENLARGED) / longer
    size = [max(1, round(side * scale)) + 2 * MARGIN for side in (width, height)]
    border = int(np.ceil((MARGIN + 1) / scale)) + 2
    middle = border + (left + right) / 2, border + (top + bottom) / 2
    half = size[0] / scale / 2, size[1] / scale / 2
    place = middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]
    padded = Image.fromarray(np.pad(ink, border))
    scaled = padded.resize((size[0], size[1]), Image.Resampling.BICUBIC, place)
    is_blurred = (ink[ink > INKED] < FULL).mean() > SOFT
    return _strengthen(np.asarray(scaled).clip(0, 1), longer < BOX, bool(is_blurred))


def _ends(profile: Levels) -> tuple[float, float]:
    """Where a row of levels first rises above a half, and last falls below: places between pixels.

    The level is taken to change linearly from a pixel's middle to the next.
    """
    levels = np.pad(profile.astype(float), 1)
    inside = np.nonzero(levels >= 0.5)[0]
    first, last = int(inside[0]), int(inside[-1])
    before, after = levels[first - 1], levels[last + 1]
    start = first - 1.5 + (0.5 - before) / (levels[first] - before)
    end = last - 0.5 + (levels[last] - 0.5) / (levels[last] - after)
    return float(start), float(end)


def _strengthen(digit: Levels, is_enlarged: bool, is_blurred: bool) -> Levels:
    """The digit with strokes as dark as MNIST's, unless they are."""
    digit = _normalised(digit, 0.95)
    level = _mean(digit)
    is_thin = is_enlarged or level < THIN
    if level >= SHARP or not (is_thin or is_blurred):
        return digit
    wanted = STRONG if is_thin else CRISP
    blurred = np.asarray(ndimage.gaussian_filter(digit, BLUR, mode="constant"), np.float32)
    edges = digit - blurred
    low, high = 0.0, MOST
    for _ in range(STEPS):
        middle = (low + high) / 2
        reached = _mean(_changed(digit, edges, middle, is_thin)) >= wanted
        low, high = (low, middle) if reached else (middle, high)
    return _changed(digit, edges, high, is_thin)


def _changed(digit: Levels, edges: Levels, amount: float, is_thin: bool) -> Levels:
    """Thin strokes are made darker, blurred ones sharper."""
    if is_thin:
        return (digit * (1 + amount)).clip(0, 1)
    return _normalised((digit + amount * edges).clip(0), 0.9)


def _normalised(digit: Levels, share: float) -> Levels:
    """Levels so that this share of the ink is at most 1; the rest is cut off."""
    strongest = np.quantile(digit[digit > INKED * digit.max()], share)
    return (digit / strongest).clip(0, 1)


def _mean(digit: Levels) -> float:
    return float(digit[digit > INKED].mean())


def _centre(digit: Levels) -> npt.NDArray[np.uint8]:
    """The digit in 28x28, moved by whole pixels so that its centre of mass is in the middle.

    Only its margin may be cut off.
    """
    side = IMAGE_SIZE + 2 * MARGIN
    placed = np.zeros((side, side), np.uint8)
    (height, width), total = digit.shape, float(digit.sum())
    top, left = (
        round(MIDDLE - float((np.arange(length) * sums).sum()) / total) + MARGIN
        for length, sums in ((height, digit.sum(1)), (width, digit.sum(0)))
    )
    top, left = min(max(top, 0), side - height), min(max(left, 0), side - width)
    placed[top : top + height, left : left + width] = np.rint(255 * digit)
    return placed[MARGIN:-MARGIN, MARGIN:-MARGIN]
