"""Files that check themselves."""

from pathlib import Path

import pytest
import torch
from pydantic import BaseModel

from stages.lib import tensors
from stages.lib.errors import UserError


class Label(BaseModel):
    name: str
    scale: float


CONTENT = {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(0, 2, dtype=torch.uint8)}
LABEL = Label(name="digits", scale=0.25)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tensors.save(tmp_path / "x.safetensors", CONTENT, LABEL)
    return tmp_path / "x.safetensors"


def test_saved_and_loaded_is_the_same(path: Path) -> None:
    found, label = tensors.load(path, Label)
    assert label == LABEL
    assert list(found) == ["a", "b"]
    assert all(torch.equal(found[name], CONTENT[name]) for name in CONTENT)


def test_the_order_of_the_tensors_does_not_matter(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    tensors.save(other, dict(reversed(CONTENT.items())), LABEL)
    assert other.read_bytes() == path.read_bytes()


def test_every_flipped_bit_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="x.safetensors: "):
            tensors.load(path, Label)


def test_other_content_under_the_same_header_is_called_damaged(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-4] + content[-8:-4])
    with pytest.raises(UserError, match=r"damaged: .* `dvc repro` remakes it"):
        tensors.load(path, Label)


def test_every_truncation_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="x.safetensors: "):
            tensors.load(path, Label)
