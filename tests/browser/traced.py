"""People's digits as strokes: MNIST's images, thinned to lines and traced.

MNIST has no strokes, so their order and direction are made up; their shapes are people's.
"""

import math

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from tests.browser.strokes import Points
from tests.drawn import Pixels

SCALE = 4  # of an image, before it is thinned
SPUR = 10  # pixels of the scaled image; shorter strokes are what thinning makes of a bump
FAITHFUL = 0.75  # of the ink and the redrawn strokes together, the share that both have
WIDEST = (
    3.0  # pixels of the image, of its strokes; bolder pens fill loops, which thinning cannot open
)
CORNERS = [  # what thinning deletes in each of four directions: 1 is ink, 0 none, -1 either
    np.array([[0, 0, 0], [-1, 1, -1], [1, 1, 1]]),
    np.array([[-1, 0, 0], [1, 1, 0], [-1, 1, -1]]),
]
NEAR = [(-1, 0), (0, 1), (1, 0), (0, -1), (-1, -1), (-1, 1), (1, 1), (1, -1)]

Place = tuple[int, int]


def trace(image: Pixels) -> list[Points] | None:
    """The strokes of an image uint8 `(28, 28)`, in its pixels; None if they do not look like it."""
    side = SCALE * len(image)
    scaled = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    ink = ndimage.gaussian_filter(np.asarray(scaled, np.float32), SCALE / 2) > 110
    lines = [line for line in _walk(_thin(ink)) if len(line) >= SPUR]
    smooth = [_smooth(np.array(line, float)[:, ::-1]) for line in lines]
    length = sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in smooth)
    width = ink.sum() / max(length, 1)
    again = Image.new("1", (side, side))
    for line in smooth:
        ImageDraw.Draw(again).line([tuple(point) for point in line], 1, round(width), "curve")
    redrawn = np.asarray(again)
    shared = (ink & redrawn).sum() / (ink | redrawn).sum()
    if width > SCALE * WIDEST or shared < FAITHFUL:
        return None
    return [[tuple(point / SCALE) for point in line] for line in smooth]


def _thin(ink: np.ndarray) -> np.ndarray:
    """Lines a pixel wide."""
    while True:
        before = ink
        for turn in range(4):
            for corner in CORNERS:
                turned = np.rot90(corner, turn)
                ink = ink & ~ndimage.binary_hit_or_miss(ink, turned == 1, turned == 0)
        if (ink == before).all():
            return ink


def _walk(thin: np.ndarray) -> list[list[Place]]:
    """Every line from end to end, straight on where lines cross."""
    everything = {(int(row), int(column)) for row, column in np.argwhere(thin)}
    left, lines = set(everything), list[list[Place]]()

    def around(place: Place, places: set[Place]) -> list[Place]:
        return [
            near for down, right in NEAR if (near := (place[0] + down, place[1] + right)) in places
        ]

    while left:
        ends = sorted(left, key=lambda each: (len(around(each, everything)) != 1, each))
        line = [ends[0]]
        left.discard(ends[0])
        while following := around(line[-1], left):
            before = line[-min(len(line), 6)]
            heading = math.atan2(line[-1][0] - before[0], line[-1][1] - before[1])
            line.append(min(following, key=lambda each: _turn(line[-1], each, heading, len(line))))
            left.discard(line[-1])
        for at, end in ((0, line[0]), (len(line), line[-1])):  # join it to what it crosses
            line[at:at] = [near for near in around(end, everything - left) if near not in line][:1]
        lines.append(line)
    return lines


def _turn(here: Place, there: Place, heading: float, walked: int) -> float:
    """By how much a step leaves the direction so far."""
    if walked < 4:
        return 0
    direction = math.atan2(there[0] - here[0], there[1] - here[1])
    return abs(math.remainder(direction - heading, 2 * math.pi))


def _smooth(line: np.ndarray) -> np.ndarray:
    for _ in range(4):
        line[1:-1] = (line[:-2] + 2 * line[1:-1] + line[2:]) / 4
    return line
