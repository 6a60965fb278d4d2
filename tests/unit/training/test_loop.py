"""Properties of training and of its metrics."""

import math
from typing import Any

import pytest
import torch

from digits.core import config
from digits.core.config import Augmentation
from digits.core.errors import UserError
from digits.network.digitnet import DigitNet
from digits.training import loop
from digits.training.checkpoint import Epoch
from digits.training.loop import fit
from digits.training.metrics import loss, measure
from digits.training.optimizer import one_cycle
from digits.training.trainer import TorchTrainer
from tests import drawn
from tests.project import ROOT
from tests.unit.networks import network, seeded

RECIPE = config.read(ROOT / "recipes/described.yaml")
TRAIN, VALIDATION = drawn.split(300), drawn.split(50, seed=9)
LABELS = torch.arange(10, dtype=torch.uint8)


def small(dropout: float = 0.2) -> DigitNet:
    return network([4, "pool", 8, "pool"], dropout=dropout)


def train(made: DigitNet, seed: int = 0, **values: Any) -> list[Epoch]:
    """Fit for three epochs, with some values of the recipe set."""
    validation, augment = values.pop("validation", VALIDATION), values.pop("augment", None)
    training = RECIPE.train.model_copy(update={"epochs": 3, "batch_size": 64} | values)
    sections = {"train": training, "augment": augment or RECIPE.augment}
    recipe = RECIPE.model_copy(update=sections)
    return fit(made, TRAIN, validation, recipe, seeded(seed))


def same(one: DigitNet, other: DigitNet) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def test_it_learns() -> None:
    history = train(small(), epochs=30)
    assert history[0]["validation_accuracy"] < 0.9
    assert history[-1]["validation_accuracy"] > 0.95
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 3


def test_seeds_decide_the_bits_and_validation_does_not() -> None:
    one, other, unscored, reseeded = small(), small(), small(), small()
    assert train(one) == train(other)
    assert same(one, other)
    history = train(unscored, validation=drawn.split(0))
    assert same(one, unscored)
    assert history[0]["validation_loss"] is history[0]["validation_accuracy"] is None
    train(reseeded, seed=1)
    assert not same(one, reseeded)


def test_dropout_acts_in_the_first_epochs_only() -> None:
    always = train(small(), dropout_epochs=None)
    assert train(small(), dropout_epochs=0) == train(small(dropout=0))
    assert train(small(), dropout_epochs=3) == always
    first, second, _ = train(small(), dropout_epochs=1)
    assert first == always[0]
    assert second != always[1]


def test_recomputing_batch_norm_changes_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the fast path it changes roundings: deviations are measured from the running mean."""
    ours, others = small(), small()
    train(ours)
    train(others, norm_images=100)
    for one, other in zip(ours.parameters(), others.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-3)

    monkeypatch.setattr(loop, "trainer_of", TorchTrainer)
    plain, recomputed = small(), small()
    rows, others = train(plain), train(recomputed, norm_images=100)
    assert all(map(torch.equal, plain.parameters(), recomputed.parameters()))
    assert not same(plain, recomputed)
    for row, other in zip(rows, others, strict=True):
        assert row["train_loss"] == other["train_loss"]
        assert row["validation_loss"] != other["validation_loss"]


def test_the_learning_rate_is_that_of_the_last_step_of_an_epoch() -> None:
    rates = [row["learning_rate"] for row in train(small(), epochs=10)]
    expected = [one_cycle(step, 50, RECIPE.train)[0] for step in range(4, 50, 5)]
    assert rates == expected


def test_metrics_cover_every_image_once() -> None:
    """With a batch that does not divide the images, the last one is smaller but counts."""
    still = {"epochs": 1, "max_learning_rate": 1e-12, "batch_size": 40, "augment": Augmentation()}
    (row,) = train(network([4]), **still)
    assert (row["train_accuracy"] * 300) == pytest.approx(round(row["train_accuracy"] * 300))

    logits = torch.randn(7, 10, generator=seeded())
    parts = [measure(logits[i : i + 1], LABELS[i : i + 1]) for i in range(7)]
    for name, value in measure(logits, LABELS[:7]).items():
        assert math.isclose(value, sum(part[name] for part in parts) / 7)
    assert math.isclose(loss(logits, LABELS[:7]), measure(logits, LABELS[:7])["loss"], rel_tol=1e-6)


def test_certain_and_right_is_perfect_and_knowing_nothing_costs_log_ten() -> None:
    certain = measure(torch.eye(10) * 100, LABELS)
    assert (certain["loss"], certain["accuracy"]) == (0, 1)
    assert math.isclose(measure(torch.zeros(10, 10), LABELS)["loss"], math.log(10))


def test_sizes_that_cannot_be_trained_on_are_refused() -> None:
    assert len(train(small(), batch_size=13)) == 3, "a last batch of one is used where it can be"
    with pytest.raises(UserError, match=r"train.batch_size is 13: of 300 .* last batch of one"):
        train(network(["pool", "pool", "pool", "pool", 4]), batch_size=13)
    with pytest.raises(UserError, match=r"train.pct_start is 0.2: of 5 steps"):
        train(small(), epochs=1)


def test_divergence_is_an_error() -> None:
    bad = small()
    with torch.no_grad():
        bad.get_submodule("fc1").weight[0, 0] = float("inf")
    with pytest.raises(UserError, match="epoch 1: .* diverged; lower train.max_learning_rate"):
        train(bad)
