"""Find what is drawn in a picture's ink: digits, apart from specks, ruled lines and edges."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from digits.core.errors import UserError
from digits.handwriting.paper import SMALL, Levels, threshold

RING = 0.1  # share of each side; of a part that touches the border, only what is farther in counts
SPECK = 0.04  # share of the main part's size below which a part is dirt
LONG = 0.7  # share of the picture's side from which a straight run of ink is ruled
THIN = 0.05  # share of the other side up to which it is; or 2 pixels
NEAR = 0.15  # share of the digit's height up to which two of its parts are apart
OVERLAP = 0.3  # share of the narrower one's width that a part above the digit has over it
LOW = 0.6  # share of its height below which a part beside the digit belongs to it
REACH = 0.3  # of the root of a digit's area: how far its soft edge goes
ALIKE = 0.5  # share of the digit's height from which another drawing is a second one
WIDE = 2.5  # times its height; no digit is as wide
ROUND = 1.6  # longer side of a dot, in shorter ones
SOLID = 0.7  # share of its box that a dot fills
EIGHT = np.ones((3, 3), bool)  # neighbours

Mask = npt.NDArray[np.bool_]


class Box(NamedTuple):
    """Rows `top` to `bottom`, columns `left` to `right`; the ends are not inside."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Pixels."""
        return self.right - self.left


@dataclass(frozen=True)
class Drawing:
    """A digit, perhaps of several parts: its ink, float32 `(H, W)` of 0 to 1, and where it is."""

    ink: Levels
    box: Box


def drawings(ink: Levels, noise: float) -> list[Drawing]:
    """What is drawn: the largest drawing first, then others that are as large as it, or nearly.

    Args:
        ink: as `paper.ink_of` returns it.
        noise: the same.

    Raises:
        UserError: there are only ruled lines.
    """
    limit = threshold(ink)
    mask = ink > limit
    if min(mask.shape) >= SMALL:
        _erase_lines(mask)
        _erase_lines(mask.T)
    labels = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, EIGHT, labels)
    boxes = [
        Box(rows.start, rows.stop, columns.start, columns.stop)
        for rows, columns in ndimage.find_objects(labels)
    ]
    if not boxes:
        raise UserError("nothing is drawn on it but straight lines")
    groups = _groups(boxes, _sizes(labels, boxes))
    around = [_around([boxes[part] for part in group]) for group in groups]
    least = ALIKE * around[0].height
    return [
        Drawing(_cut_out(ink, labels, group, box, min(noise, limit)), box)
        for group, box in zip(groups, around, strict=True)
        if box.height >= least
    ]


def _erase_lines(mask: Mask) -> None:
    """Erase thin rows of ink from side to side, but not where something crosses them."""
    height, width = mask.shape
    thickest = max(2, int(THIN * height))
    ruled = np.nonzero(_longest_runs(mask) >= LONG * width)[0]
    for line in np.split(ruled, np.nonzero(np.diff(ruled) > 1)[0] + 1):
        if not 1 <= len(line) <= thickest:
            continue
        top, bottom, around = line[0], line[-1] + 1, max(2, len(line))
        crossed = np.zeros(width, bool)
        for beside in (mask[max(0, top - around) : top], mask[bottom : bottom + around]):
            crossed |= beside.all(0) & (len(beside) > 0)
        mask[top:bottom, ~crossed] = False


def _longest_runs(mask: Mask) -> npt.NDArray[np.int64]:
    """The length of the longest run of ink in every row."""
    longest = run = np.zeros(len(mask), np.int64)
    for column in mask.T:
        run = (run + 1) * column
        longest = np.maximum(longest, run)
    return longest


def _sizes(labels: npt.NDArray[np.int32], boxes: list[Box]) -> list[int]:
    """The pixels of every part; without a ring along the border for a part that touches it."""
    height, width = labels.shape
    down, right = round(RING * height), round(RING * width)
    count = len(boxes) + 1
    whole = np.bincount(labels.ravel(), minlength=count)[1:]
    inner = np.bincount(
        labels[down : height - down, right : width - right].ravel(), minlength=count
    )[1:]
    sizes = [
        int(within if top == 0 or left == 0 or bottom == height or end == width else area)
        for within, area, (top, bottom, left, end) in zip(inner, whole, boxes, strict=True)
    ]
    return sizes if any(sizes) else [int(area) for area in whole]


def _groups(boxes: list[Box], sizes: list[int]) -> list[list[int]]:
    """The parts of every digit, the digit with the largest part first; specks are left out."""
    order = sorted(range(len(boxes)), key=lambda part: -sizes[part])
    waiting = [part for part in order if sizes[part] >= SPECK * sizes[order[0]] and sizes[part]]
    groups: list[list[int]] = []
    while waiting:
        group = [waiting.pop(0)]
        while near := [
            p for p in waiting if _belongs(boxes[p], _around([boxes[m] for m in group]))
        ]:
            group.append(near[0])
            waiting.remove(near[0])
        groups.append(group)
    return groups


def _belongs(part: Box, digit: Box) -> bool:
    """A part belongs to the digit above or below it, or close beside it if it is much smaller."""
    near = NEAR * digit.height
    apart_y = max(digit.top - part.bottom, part.top - digit.bottom)
    apart_x = max(digit.left - part.right, part.left - digit.right)
    is_above = -apart_x >= OVERLAP * min(part.width, digit.width) and apart_y < near
    return is_above or (apart_x < near and apart_y < 0 and part.height < LOW * digit.height)


def _around(boxes: list[Box]) -> Box:
    tops, bottoms, lefts, rights = zip(*boxes, strict=True)
    return Box(min(tops), max(bottoms), min(lefts), max(rights))


def oddity(drawing: Drawing) -> str:
    """What is not like a digit in the shape of a drawing; empty if nothing is."""
    box = drawing.box
    if box.width > WIDE * box.height:
        return "a stroke that lies, not a digit"
    is_compact = max(box.width, box.height) < ROUND * min(box.width, box.height)
    if is_compact and (drawing.ink >= 0.5).sum() > SOLID * box.width * box.height:
        return "a dot, not a digit"
    return ""


def _cut_out(
    ink: Levels, labels: npt.NDArray[np.int32], group: list[int], box: Box, noise: float
) -> Levels:
    """The digit's ink with its soft edges, 1 where it is strongest; 0 for all else."""
    parts = [part + 1 for part in group]
    top, bottom, left, right = box
    area = int(np.isin(labels[top:bottom, left:right], parts).sum())
    reach = max(1, round(REACH * area**0.5))
    place = slice(max(0, top - reach), bottom + reach), slice(max(0, left - reach), right + reach)
    own, others = np.isin(labels[place], parts), ~np.isin(labels[place], [0, *parts])
    near = np.asarray(ndimage.binary_dilation(own, EIGHT, reach), bool)
    near = near & (own | np.logical_not(ndimage.binary_dilation(others, EIGHT)))
    strongest = np.quantile(ink[place][own], 0.9)
    levels = (ink[place] - noise) / (strongest - noise)
    return np.where(near, levels, 0).clip(0, 1).astype(np.float32)
