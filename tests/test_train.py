"""Properties of training."""

import math

import pytest
import torch

from stages import train
from stages.lib import parameters
from stages.lib.errors import UserError
from stages.lib.model import DigitNet, pick_device
from stages.lib.parameters import Augment, Train
from tests import digits
from tests.project import ROOT

RECIPE = parameters.read(ROOT / "recipes/described.yaml")
CHOSEN = RECIPE.train.model_copy(update={"epochs": 3, "batch_size": 64})


def network(seed: int = 0) -> DigitNet:
    return DigitNet([4, "pool", 8, "pool"], None, 0.2, torch.Generator().manual_seed(seed))


def fit(
    net: DigitNet, chosen: Train = CHOSEN, moves: Augment = RECIPE.augment, seed: int = 0, **kwargs
) -> list[train.Row]:
    generator = torch.Generator().manual_seed(seed)
    validation = kwargs.pop("validation", digits.split(50, seed=9))
    images = kwargs.pop("images", digits.split(300))
    return train.fit(net, images, validation, moves, chosen, generator, **kwargs)


def same(one: DigitNet, other: DigitNet) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_it_learns() -> None:
    history = fit(network(), CHOSEN.model_copy(update={"epochs": 30}))
    assert history[0]["validation_accuracy"] < 0.9
    assert history[-1]["validation_accuracy"] > 0.95
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 3


def test_the_same_seeds_give_the_same_bits() -> None:
    one, other, third = network(), network(), network()
    assert fit(one) == fit(other)
    assert same(one, other)
    fit(third, seed=1)
    assert not same(one, third)


def test_validation_changes_nothing() -> None:
    with_it, without = network(), network()
    fit(with_it)
    history = fit(without, validation=digits.split(0))
    assert same(with_it, without)
    assert history[0]["validation_loss"] is None
    assert history[0]["validation_accuracy"] is None


def test_dropout_acts_in_the_first_epochs_only() -> None:
    def rows(dropout_epochs: int | None, dropout: float = 0.2) -> list[train.Row]:
        net = DigitNet([4, "pool", 8, "pool"], None, dropout, torch.Generator().manual_seed(0))
        return fit(net, CHOSEN.model_copy(update={"dropout_epochs": dropout_epochs}))

    assert rows(0) == rows(None, dropout=0)
    assert rows(3) == rows(None)
    assert rows(1)[0] == rows(None)[0]
    assert rows(1)[1] != rows(None)[1]


def test_measuring_batch_norm_changes_no_weight() -> None:
    plain, measured = network(), network()
    rows = fit(plain)
    others = fit(measured, CHOSEN.model_copy(update={"norm_images": 100}))
    assert all(map(torch.equal, plain.parameters(), measured.parameters()))
    assert not same(plain, measured)
    for row, other in zip(rows, others, strict=True):
        assert row["train_loss"] == other["train_loss"]
        assert row["validation_loss"] != other["validation_loss"]


def test_history_has_a_row_per_epoch_and_reports_them_as_they_come() -> None:
    seen: list[int] = []
    history = fit(network(), after_epoch=lambda rows: seen.append(len(rows)))
    assert seen == [1, 2, 3]
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert list(history[0]) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
    ]


def test_the_learning_rate_is_the_one_cycle_schedule() -> None:
    chosen = CHOSEN.model_copy(update={"epochs": 10})
    rates = [row["learning_rate"] for row in fit(network(), chosen)]
    peak, first, last = 0.003, 0.003 / 10, 0.003 / 10 / 100
    # 50 steps, of which the first 10 rise; the fifth step is the last of epoch 1
    rise = (first - peak) / 2 * (1 + math.cos(math.pi * 4 / 9)) + peak
    assert rates[0] == pytest.approx(rise, rel=1e-6)
    assert rates[1] == pytest.approx(peak, rel=1e-6)
    assert rates[-1] == pytest.approx(last, rel=1e-6)
    assert rates[1:] == sorted(rates[1:], reverse=True)


def test_scores_cover_every_image_once() -> None:
    """With a batch that does not divide the images, the last one is smaller but counts."""
    lazy = CHOSEN.model_copy(update={"epochs": 1, "max_learning_rate": 1e-12, "batch_size": 40})
    net = DigitNet([4], None, 0, torch.Generator().manual_seed(0))
    still = Augment(rotation=0, translation=0, scale=0, shear=0, interpolation="nearest")
    images = digits.split(300)
    row = fit(net, lazy, still, images=images)[0]
    assert (row["train_accuracy"] * 300) == pytest.approx(round(row["train_accuracy"] * 300))


def test_a_last_batch_of_one_is_used_where_batch_norm_can() -> None:
    chosen = CHOSEN.model_copy(update={"batch_size": 13})
    assert len(fit(network(), chosen)) == 3
    one_pixel = DigitNet(["pool", "pool", "pool", "pool", 4], None, 0, torch.Generator())
    with pytest.raises(UserError, match=r"train.batch_size is 13: of 300 .* last batch of one"):
        fit(one_pixel, chosen)


def test_a_schedule_without_warm_up_is_refused() -> None:
    with pytest.raises(UserError, match=r"train.pct_start is 0.2: of 5 steps"):
        fit(network(), CHOSEN.model_copy(update={"epochs": 1}))


def test_divergence_is_an_error() -> None:
    images = digits.split(300)
    bad = network()
    with torch.no_grad():
        bad.get_submodule("fc1").weight[0, 0] = float("inf")
    with pytest.raises(
        UserError, match="epoch 1: training diverged; lower train.max_learning_rate"
    ):
        fit(bad, images=images)


def test_cuda_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("cpu") == pick_device("auto") == torch.device("cpu")
    with pytest.raises(UserError, match="train.device is cuda, but torch finds no GPU"):
        pick_device("cuda")
