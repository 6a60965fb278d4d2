"""Properties of the splits."""

import builtins
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages import preprocess
from stages.download import encode_idx
from stages.lib import splits
from stages.lib.errors import UserError
from stages.lib.parameters import Preprocess
from stages.lib.splits import Normalisation
from tests import digits
from tests.project import ROOT, SMALL, change_parameters


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "recipes/described.yaml").read_bytes())
    change_parameters(tmp_path / "params.yaml", SMALL)
    digits.write_idx(tmp_path / "data/raw")
    return tmp_path / "data/raw"


@given(
    st.lists(st.integers(20, 60), min_size=10, max_size=10),
    st.integers(10, 90),
    st.integers(0, 2**32 - 1),
)
def test_a_split_is_stratified_complete_and_seeded(
    counts: list[int], validation_size: int, seed: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(10, dtype=torch.uint8), torch.tensor(counts))
    chosen = Preprocess(validation_size=validation_size, seed=seed)
    train, validation = preprocess.split_indices(labels, chosen)
    assert len(validation) == validation_size
    assert sorted(train.tolist() + validation.tolist()) == list(range(len(labels)))
    share = Counter(labels[validation].tolist())
    for digit, count in enumerate(counts):
        assert abs(share[digit] - validation_size * count / len(labels)) <= 1
    again = preprocess.split_indices(labels, chosen)
    assert torch.equal(again[0], train)
    assert torch.equal(again[1], validation)


def test_another_seed_holds_out_others() -> None:
    labels = torch.arange(200, dtype=torch.uint8) % 10
    held_out = [
        preprocess.split_indices(labels, Preprocess(validation_size=50, seed=seed))[1]
        for seed in (0, 1)
    ]
    assert not torch.equal(*held_out)


def test_no_validation_split_keeps_every_image() -> None:
    labels = torch.arange(20, dtype=torch.uint8) % 10
    train, validation = preprocess.split_indices(labels, Preprocess(validation_size=0, seed=0))
    assert train.tolist() == list(range(20))
    assert len(validation) == 0


@pytest.mark.parametrize("validation_size", [5, 195, 200, 5000])
def test_a_size_that_the_data_cannot_give_is_refused(validation_size: int) -> None:
    labels = torch.arange(200, dtype=torch.uint8) % 10
    with pytest.raises(
        UserError,
        match=rf"validation_size is {validation_size}: with 200 .* 0 or 10 to 190 is allowed",
    ):
        preprocess.split_indices(labels, Preprocess(validation_size=validation_size, seed=0))


def test_a_digit_that_cannot_be_split_is_refused() -> None:
    labels = torch.tensor([0] * 50 + [1], dtype=torch.uint8)
    with pytest.raises(UserError, match="validation_size is 10"):
        preprocess.split_indices(labels, Preprocess(validation_size=10, seed=0))


def test_normalisation_is_that_of_all_pixels() -> None:
    images = digits.split(50).images
    scaled = images.double() / 255
    found = preprocess.normalisation_of(images)
    assert found.mean == pytest.approx(scaled.mean().item(), rel=1e-12)
    assert found.std == pytest.approx(scaled.std(correction=0).item(), rel=1e-12)
    with pytest.raises(UserError, match="every training pixel is 7"):
        preprocess.normalisation_of(torch.full((2, 28, 28), 7, dtype=torch.uint8))


def test_normalisation_is_the_same_on_every_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since Python 3.12, sum() compensates for rounding; here it does so on any Python."""
    levels = torch.arange(256)
    images = levels.to(torch.uint8).repeat_interleave((3 * levels**2 + 7 * levels) % 101 + 1)
    before = preprocess.normalisation_of(images)
    assert before == Normalisation(mean=0.5067983881092013, std=0.291792990918066)
    monkeypatch.setattr(builtins, "sum", compensated_sum)
    assert preprocess.normalisation_of(images) == before


def compensated_sum(numbers: Iterable[float]) -> float:
    found = math.fsum(kept := list(numbers))
    return int(found) if all(isinstance(number, int) for number in kept) else found


def test_the_stage_keeps_every_pixel(raw: Path) -> None:
    preprocess.main()
    images, _ = digits.draw(600, 1)
    train = splits.load(preprocess.PREPARED / "train.safetensors")
    validation = splits.load(preprocess.PREPARED / "validation.safetensors")
    assert (len(train), len(validation)) == (500, 100)
    found = torch.cat([train.images, validation.images]).flatten(1).sum(1)
    assert sorted(found.tolist()) == sorted(images.reshape(600, -1).sum(1).tolist())
    test = splits.load(preprocess.PREPARED / "test.safetensors")
    assert np.array_equal(test.images.numpy(), digits.draw(100, 2)[0])
    assert np.array_equal(test.labels.numpy(), digits.draw(100, 2)[1])
    assert train.normalisation == validation.normalisation == test.normalisation
    assert train.normalisation == preprocess.normalisation_of(train.images)


def test_files_that_do_not_belong_together_are_refused(raw: Path) -> None:
    preprocess.main()
    earlier = (preprocess.PREPARED / "train.safetensors").read_bytes()
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(encode_idx(digits.draw(599, 1)[1]))
    with pytest.raises(UserError, match=r"train-\*: 600 images but 599 labels"):
        preprocess.main()
    assert (preprocess.PREPARED / "train.safetensors").read_bytes() == earlier
