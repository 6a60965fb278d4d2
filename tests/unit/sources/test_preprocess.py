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

from digits.core.config import Config, Download, Preprocess
from digits.core.data_shape import MNIST
from digits.core.errors import UserError
from digits.core.split import Normalisation
from digits.sources import catalog, idx
from digits.sources.preprocess import measure_normalisation, prepare, split_indices
from tests import drawn

CONFIG = Config.model_construct(
    download=Download(source="mnist"), preprocess=Preprocess(validation_size=100, seed=0)
)
LABELS = torch.arange(200, dtype=torch.uint8) % 10


@given(
    st.lists(st.integers(20, 60), min_size=10, max_size=10),
    st.integers(10, 90),
    st.integers(0, 2**32 - 1),
)
def test_a_split_is_stratified_complete_and_seeded(
    counts: list[int], validation_size: int, seed: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(10, dtype=torch.uint8), torch.tensor(counts))
    config = Preprocess(validation_size=validation_size, seed=seed)
    train, validation = split_indices(labels, config)
    assert len(validation) == validation_size
    assert sorted(train.tolist() + validation.tolist()) == list(range(len(labels)))
    share = Counter(labels[validation].tolist())
    for digit, count in enumerate(counts):
        assert abs(share[digit] - validation_size * count / len(labels)) <= 1
    assert all(map(torch.equal, split_indices(labels, config), (train, validation)))


def test_a_seed_holds_out_its_own_images_and_no_validation_split_none() -> None:
    one, other, none = (
        split_indices(LABELS, Preprocess(validation_size=size, seed=seed))
        for size, seed in ((50, 0), (50, 1), (0, 0))
    )
    assert not torch.equal(one[1], other[1])
    assert (none[0].tolist(), len(none[1])) == (list(range(200)), 0)


def test_a_share_is_of_the_training_images() -> None:
    train, validation = split_indices(LABELS, Preprocess(validation_size=0.25, seed=0))
    assert (len(train), len(validation)) == (150, 50)


def test_a_size_that_the_data_cannot_give_is_refused() -> None:
    rare = torch.tensor([0] * 50 + [1], dtype=torch.uint8)
    sizes = [(LABELS, size, "0 or 10 to 190") for size in (5, 195, 200, 5000)]
    for labels, size, allowed in [*sizes, (rare, 10, "0 or 2 to 49")]:
        message = f"validation_size is {size}: with {len(labels)} .* {allowed} is allowed"
        with pytest.raises(UserError, match=message):
            split_indices(labels, Preprocess(validation_size=size, seed=0))


def test_normalisation_is_measured_on_all_pixels() -> None:
    images = drawn.split(50).images
    scaled = images.double() / 255
    measured = measure_normalisation(images)
    assert measured.mean == pytest.approx(scaled.mean().item(), rel=1e-12)
    assert measured.std == pytest.approx(scaled.std(correction=0).item(), rel=1e-12)
    with pytest.raises(UserError, match="every training pixel is 7"):
        measure_normalisation(torch.full((2, 28, 28), 7, dtype=torch.uint8))


def test_normalisation_is_the_same_on_every_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since Python 3.12, sum() compensates for rounding; here it does so on any Python."""
    levels = torch.arange(256)
    images = levels.to(torch.uint8).repeat_interleave((3 * levels**2 + 7 * levels) % 101 + 1)
    before = measure_normalisation(images)
    assert before == Normalisation(mean=0.5067983881092013, std=0.291792990918066)
    monkeypatch.setattr(builtins, "sum", compensated_sum)
    assert measure_normalisation(images) == before


def compensated_sum(numbers: Iterable[float]) -> float:
    total = math.fsum(kept := list(numbers))
    return int(total) if all(isinstance(number, int) for number in kept) else total


def test_the_splits_hold_every_image_of_the_files(tmp_path: Path) -> None:
    drawn.write_idx(tmp_path)
    prepared = prepare(CONFIG, tmp_path, tmp_path)
    train, validation, test = prepared.train, prepared.validation, prepared.test
    assert train.shape == validation.shape == test.shape == MNIST
    assert (len(train), len(validation)) == (500, 100)
    pairs = (
        sorted((int(label), bytes(image)) for image, label in zip(images, labels, strict=True))
        for images, labels in (
            drawn.draw(600, 1),
            (
                np.concatenate([train.images, validation.images]),
                np.concatenate([train.labels, validation.labels]),
            ),
        )
    )
    assert next(pairs) == next(pairs)
    images, labels = drawn.draw(100, 2)
    assert np.array_equal(test.images, images)
    assert np.array_equal(test.labels, labels)
    assert train.normalisation == validation.normalisation == test.normalisation
    assert train.normalisation == measure_normalisation(train.images)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    drawn.write_idx(tmp_path)
    (tmp_path / catalog.TRAIN_LABELS).write_bytes(idx.encode(drawn.draw(599, 1)[1]))
    message = f"600 images in {catalog.TRAIN_IMAGES}, but 599 labels in {catalog.TRAIN_LABELS}"
    with pytest.raises(UserError, match=message):
        prepare(CONFIG, tmp_path, tmp_path)
