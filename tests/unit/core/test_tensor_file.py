"""Files that check themselves."""

from pathlib import Path

import pytest
import torch
from pydantic import BaseModel

from digits.core import tensor_file
from digits.core.errors import UserError


class Label(BaseModel):
    name: str
    scale: float


CONTENT = {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(0, 2, dtype=torch.uint8)}
LABEL = Label(name="digits", scale=0.25)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tensor_file.save(tmp_path / "x.safetensors", CONTENT, LABEL)
    return tmp_path / "x.safetensors"


def test_saved_and_loaded_is_the_same_in_any_order(path: Path, tmp_path: Path) -> None:
    loaded, label = tensor_file.load(path, Label)
    assert label == LABEL
    assert list(loaded) == ["a", "b"]
    assert all(torch.equal(loaded[name], CONTENT[name]) for name in CONTENT)
    other = tmp_path / "other.safetensors"
    tensor_file.save(other, dict(reversed(CONTENT.items())), LABEL)
    assert other.read_bytes() == path.read_bytes()


def test_every_flipped_bit_and_every_truncation_is_refused(path: Path) -> None:
    content = path.read_bytes()
    number = int.from_bytes(content, "little")
    flipped = (
        (number ^ 1 << bit).to_bytes(len(content), "little") for bit in range(8 * len(content))
    )
    for damaged in (*flipped, *(content[:length] for length in range(len(content)))):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="x.safetensors: "):
            tensor_file.load(path, Label)


def test_damaged_content_and_a_missing_file_say_what_to_do(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-4] + content[-8:-4])
    with pytest.raises(UserError, match=r"damaged: .* `dvc repro` makes it again"):
        tensor_file.load(path, Label)
    path.unlink()
    with pytest.raises(UserError, match="x.safetensors: no such file; `dvc repro` makes it"):
        tensor_file.load(path, Label)
