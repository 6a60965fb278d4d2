"""BatchNorm gets the statistics of unaugmented images."""

import pytest
import torch
from torch import nn

from digits.core import config
from digits.network.digitnet import DigitNet
from digits.training import batchnorm_statistics
from digits.training.optimizer import Adam
from digits.training.trainer import FastTrainer, TorchTrainer, Trainer
from tests import drawn
from tests.project import ROOT
from tests.unit.networks import network

TRAINING = config.read(ROOT / "recipes/described.yaml").train
SPLIT = drawn.split(200)
IMAGES = SPLIT.normalisation(SPLIT.images.unsqueeze(1))


def recomputed(count: int, kind: type[Trainer] = FastTrainer) -> tuple[DigitNet, nn.BatchNorm2d]:
    """A network and its first BatchNorm, with the statistics of so many images."""
    made = network([4, "pool", 6], 8, 0.4)
    for name in ("bn1", "bn2"):
        made.get_submodule(name).running_mean.fill_(0.5)
        made.get_submodule(name).running_var.fill_(7)
    trainer = kind(made, Adam(made.parameters(), TRAINING, 10))
    batchnorm_statistics.recompute(trainer, SPLIT, count)
    return made, made.get_submodule("bn1")


def convolved(made: DigitNet, images: torch.Tensor) -> torch.Tensor:
    """What the first BatchNorm sees, by channel."""
    return made.get_submodule("conv1")(images).transpose(0, 1).flatten(1)


@pytest.mark.parametrize("kind", [FastTrainer, TorchTrainer])
@pytest.mark.parametrize("count", [90, 300])
def test_the_first_layer_has_the_statistics_of_its_convolution(
    count: int, kind: type[Trainer]
) -> None:
    made, norm = recomputed(count, kind)
    values = convolved(made, IMAGES[:count])
    assert torch.allclose(norm.running_mean, values.mean(1), atol=1e-5)
    assert torch.allclose(norm.running_var, values.var(1), rtol=1e-4)


def test_all_batches_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    assert batchnorm_statistics.BATCH >= 1000, (
        "where the mean of the variances is the variance to 0.1 %"
    )
    monkeypatch.setattr(batchnorm_statistics, "BATCH", 50)
    made, norm = recomputed(200)
    variances = [convolved(made, batch).var(1) for batch in IMAGES.split(50)]
    assert torch.allclose(norm.running_var, torch.stack(variances).mean(0), rtol=1e-4)


@pytest.mark.parametrize("kind", [FastTrainer, TorchTrainer])
def test_nothing_else_changes(kind: type[Trainer]) -> None:
    made, norm = recomputed(100, kind)
    assert all(map(torch.equal, made.parameters(), network([4, "pool", 6], 8, 0.4).parameters()))
    assert all(weight.grad is None for weight in made.parameters())
    assert all(module.training for module in made.modules())
    assert norm.momentum == 0.1
