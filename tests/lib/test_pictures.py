"""Pictures are PNG, of a sensible size, and the same for the same digits."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stages.lib import pictures
from tests import digits


@pytest.mark.parametrize("count", [0, 1, 8, 40])
def test_worst_errors(count: int) -> None:
    arguments = digits.split(count).images, [1] * count, [2] * count, [3.5] * count
    png = pictures.worst_errors(*arguments)
    assert png == pictures.worst_errors(*arguments)
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert max(image.size) <= 1000


def test_augmented() -> None:
    originals = digits.split(10).images
    moved = originals.unsqueeze(1).expand(-1, 3, -1, -1)
    png = pictures.augmented(originals, moved, "Nothing")
    assert png == pictures.augmented(originals, moved, "Nothing")
    assert png != pictures.augmented(originals, moved.flip(0), "Nothing")
    assert Image.open(io.BytesIO(png)).format == "PNG"


def test_a_users_matplotlibrc_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.linewidth: 4\n")
    code = (
        "import sys; from stages.lib import pictures; from tests import digits;"
        "images = digits.split(2).images;"
        "sys.stdout.buffer.write(pictures.worst_errors(images, [1, 2], [3, 4], [5.0, 6.0]))"
    )
    drawn = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent.parent.parent,
            env=os.environ | extra,
            check=True,
            capture_output=True,
        ).stdout
        for extra in ({}, {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc")})
    ]
    assert drawn[0].startswith(b"\x89PNG")
    assert drawn[0] == drawn[1]
