"""Pictures are PNG, of a sensible size, and the same for the same digits."""

import importlib
import io
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from digits.reporting import pictures
from tests import drawn


def worst(count: int) -> bytes:
    return pictures.worst_errors(
        drawn.split(count).images, ["1"] * count, ["2"] * count, [3.5] * count
    )


@pytest.mark.parametrize("count", [0, 1, 40])
def test_worst_errors(count: int) -> None:
    image = Image.open(io.BytesIO(worst(count)))
    assert image.format == "PNG"
    assert max(image.size) <= 1000


def test_augmented() -> None:
    originals = drawn.split(4).images
    moved = originals.unsqueeze(1).expand(-1, 2, -1, -1)
    png = pictures.augmented(originals, moved, "Nothing")
    assert png == pictures.augmented(originals, moved, "Nothing")
    assert png != pictures.augmented(originals, moved.flip(0), "Nothing")
    assert Image.open(io.BytesIO(png)).format == "PNG"


def test_a_users_matplotlibrc_changes_nothing(tmp_path: Path) -> None:
    plain, settings = worst(2), tmp_path / "matplotlibrc"
    assert worst(2) == plain
    settings.write_text("font.size: 20\naxes.linewidth: 4\n")
    matplotlib.rc_file(settings)
    assert worst(2) != plain, "the settings matter"
    importlib.reload(pictures)
    assert worst(2) == plain
