"""A split on disk is the split in memory."""

from pathlib import Path

import pytest
import torch

from stages.lib import splits, tensors
from stages.lib.errors import UserError
from stages.lib.splits import Normalisation
from tests import digits


@pytest.mark.parametrize("count", [0, 20])
def test_saved_and_loaded_is_the_same(tmp_path: Path, count: int) -> None:
    path = tmp_path / "split.safetensors"
    split = digits.split(count)
    splits.save(path, split)
    loaded = splits.load(path)
    assert len(loaded) == count
    assert torch.equal(loaded.images, split.images)
    assert torch.equal(loaded.labels, split.labels)
    assert loaded.normalisation == split.normalisation
    first = path.read_bytes()
    splits.save(path, split)
    assert path.read_bytes() == first


def test_normalised_pixels_have_mean_zero_and_deviation_one() -> None:
    images = torch.tensor([[0, 255], [51, 102]], dtype=torch.uint8)
    scaled = images.double() / 255
    mean, std = scaled.mean().item(), scaled.std(correction=0).item()
    normalised = Normalisation(mean=mean, std=std)(images)
    assert normalised.dtype == torch.float32
    assert normalised.mean().item() == pytest.approx(0, abs=1e-6)
    assert normalised.std(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_what_is_no_split_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.safetensors"
    with pytest.raises(UserError, match="no such file"):
        splits.load(path)
    path.write_bytes(b"nonsense" * 10)
    with pytest.raises(UserError, match="not a whole safetensors file"):
        splits.load(path)
    tensors.save(path, {"pixels": torch.zeros(2)}, Normalisation(mean=0.1, std=0.3))
    with pytest.raises(UserError, match=r"holds \['pixels'\], expected images and labels"):
        splits.load(path)
    tensors.save(path, {}, Normalisation.model_construct(mean=2, std=0))
    with pytest.raises(UserError, match="no valid Normalisation"):
        splits.load(path)
