"""Digits as strokes: what a mouse draws on the page, and a network trained on such digits."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

from digits.core.config import Architecture
from digits.core.split import Normalisation, Split
from digits.handwriting.mnist_form import largest_digit
from digits.handwriting.picture_file import grey_levels
from digits.network.digitnet import DigitNet
from tests.drawn import Pixels

Points = list[tuple[float, float]]

NORMALISATION = Normalisation(mean=0.13, std=0.31)


def _arc(x: float, y: float, width: float, height: float, start: int, end: int) -> Points:
    """Points of an ellipse around (x, y), degrees clockwise from the right."""
    turns = [math.radians(start + (end - start) * k / 14) for k in range(15)]
    return [(x + width * math.cos(turn), y + height * math.sin(turn)) for turn in turns]


STROKES: list[list[Points]] = [  # in a square of side 1, x to the right and y down
    [_arc(0.5, 0.5, 0.2, 0.3, -90, 270)],
    [[(0.42, 0.3), (0.52, 0.2), (0.5, 0.8)]],
    [[*_arc(0.5, 0.35, 0.18, 0.15, -170, 40), (0.3, 0.78), (0.72, 0.78)]],
    [[*_arc(0.48, 0.34, 0.18, 0.14, -150, 90), *_arc(0.48, 0.65, 0.2, 0.17, -90, 150)]],
    [[(0.42, 0.2), (0.3, 0.55), (0.72, 0.55)], [(0.62, 0.25), (0.6, 0.82)]],
    [[(0.7, 0.2), (0.38, 0.2), (0.35, 0.47), *_arc(0.47, 0.63, 0.2, 0.18, -120, 150)]],
    [[(0.62, 0.2), (0.4, 0.45), *_arc(0.5, 0.65, 0.17, 0.16, -180, 180)]],
    [[(0.3, 0.22), (0.7, 0.22), (0.45, 0.8)]],
    [[*_arc(0.5, 0.35, 0.15, 0.15, 90, 450), *_arc(0.5, 0.66, 0.18, 0.16, -90, 270)]],
    [[*_arc(0.5, 0.36, 0.16, 0.16, 0, 360), (0.64, 0.6), (0.58, 0.82)]],
]


def shaken(digit: int, rng: np.random.Generator) -> list[Points]:
    """The strokes of a digit, randomly slanted, stretched and shaken."""
    stretch = np.diag(rng.uniform(0.8, 1.15, 2))
    turn = rng.uniform(-0.15, 0.15, (2, 2))
    return [
        [
            (float(x), float(y))
            for x, y in (np.array(stroke) - 0.5 + rng.normal(0, 0.008, (len(stroke), 2)))
            @ (stretch + turn)
            + 0.5
        ]
        for stroke in STROKES[digit]
    ]


def draw(digit: int, rng: np.random.Generator, size: int = 112) -> Pixels:
    """The digit white on black, uint8 `(size, size)`."""
    canvas = Image.new("L", (4 * size, 4 * size))
    pen = ImageDraw.Draw(canvas)
    width = int(4 * size * rng.uniform(0.05, 0.1))
    for stroke in shaken(digit, rng):
        points = [(4 * size * x, 4 * size * y) for x, y in stroke]
        pen.line(points, fill=255, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            pen.circle((x, y), width / 2, fill=255)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))


def split(count: int, seed: int) -> Split:
    """A split of such digits in MNIST's form."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = [largest_digit(grey_levels(Image.fromarray(draw(digit, rng)))) for digit in labels]
    return Split(torch.from_numpy(np.stack(images)), torch.from_numpy(labels), NORMALISATION)


def trained_network() -> DigitNet:
    """A small network that reads these digits."""
    known = split(200, seed=0)
    images = NORMALISATION(known.images.unsqueeze(1))
    architecture = Architecture(blocks=[8, "pool", 8, "pool"])
    network = DigitNet(architecture, torch.Generator().manual_seed(0)).eval()
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(network(images), known.labels.long()).backward()
        optimizer.step()
    return network
