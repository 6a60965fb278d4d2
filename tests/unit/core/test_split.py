"""A split on disk is the split in memory."""

from pathlib import Path

import pytest
import torch

from digits.core import split, tensor_file
from digits.core.data_shape import DataShape
from digits.core.errors import UserError
from digits.core.split import Normalisation, Split, SplitHeader
from tests import drawn


@pytest.mark.parametrize("count", [0, 20])
def test_saved_and_loaded_is_the_same(tmp_path: Path, count: int) -> None:
    path, other, original = tmp_path / "a", tmp_path / "b", drawn.split(count)
    split.save(path, original)
    loaded = split.load(path)
    assert len(loaded) == count
    assert torch.equal(loaded.images, original.images)
    assert torch.equal(loaded.labels, original.labels)
    assert loaded.normalisation == original.normalisation
    split.save(other, loaded)
    assert path.read_bytes() == other.read_bytes()


def test_normalised_pixels_have_mean_zero_and_deviation_one() -> None:
    images = torch.tensor([[0, 255], [51, 102]], dtype=torch.uint8)
    scaled = images.double() / 255
    mean, std = scaled.mean().item(), scaled.std(correction=0).item()
    normalised = Normalisation(mean=mean, std=std)(images)
    assert normalised.dtype == torch.float32
    assert normalised.mean().item() == pytest.approx(0, abs=1e-6)
    assert normalised.std(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_a_split_keeps_its_shape_and_many_classes(tmp_path: Path) -> None:
    shape = DataShape(9, 3, tuple(f"class {number}" for number in range(300)), "crop")
    images = torch.arange(2 * 9 * 9 * 3, dtype=torch.uint8).view(2, 9, 9, 3)
    labels = torch.tensor([0, 299], dtype=split.label_type(shape))
    normalisation = drawn.split(1).normalisation
    split.save(tmp_path / "split", Split(images, labels, normalisation, shape))
    loaded = split.load(tmp_path / "split")
    assert loaded.shape == shape
    assert loaded.labels.tolist() == [0, 299]
    assert torch.equal(loaded.images, images)
    header = SplitHeader(**normalisation.model_dump(), shape=shape)
    wrong = {"images": images, "labels": labels + 1}
    tensor_file.save(tmp_path / "split", wrong, header)
    with pytest.raises(UserError, match="label 300, expected 0 to 299"):
        split.load(tmp_path / "split")


IMAGES, LABELS = drawn.split(3).images, drawn.split(3).labels
VALID = {"images": IMAGES, "labels": LABELS}


@pytest.mark.parametrize(
    ("content", "std", "message"),
    [
        ({"pixels": IMAGES}, 0.3, r"holds \['pixels'\], expected images and labels"),
        (VALID | {"images": IMAGES.float()}, 0.3, "images are torch.float32 of shape"),
        (VALID | {"images": IMAGES[:2]}, 0.3, r"images are .*expected .*\(3, 28, 28\)"),
        (VALID | {"labels": LABELS + 10}, 0.3, "label 1., expected 0 to 9"),
        (VALID, 0, "has no valid SplitHeader"),
    ],
)
def test_tensors_that_are_no_split_are_refused(
    tmp_path: Path, content: dict[str, torch.Tensor], std: float, message: str
) -> None:
    path = tmp_path / "split.safetensors"
    tensor_file.save(path, content, Normalisation.model_construct(mean=0.1, std=std))
    with pytest.raises(UserError, match=f"split.safetensors: {message}"):
        split.load(path)


def test_a_split_of_another_generation_is_refused(tmp_path: Path) -> None:
    path, made = tmp_path / "validation.safetensors", drawn.split(20)
    split.save(path, made)
    assert len(split.load(path, made.normalisation)) == 20
    other = made.normalisation.model_copy(update={"mean": made.normalisation.mean + 1e-9})
    with pytest.raises(UserError, match=f"{path}: was made beside training images with mean="):
        split.load(path, other)
