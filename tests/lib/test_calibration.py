"""BatchNorm's statistics are those of the images as they are."""

import pytest
import torch
from torch import nn

from stages.lib.calibration import BATCH, calibrate
from stages.lib.model import DigitNet
from tests import digits


def network() -> DigitNet:
    made = DigitNet([4, "pool", 6], 8, 0.4, torch.Generator().manual_seed(0))
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(7)
            module.running_var.fill_(7)
    return made


@pytest.mark.parametrize("count", [90, 200])
def test_the_first_layer_has_the_statistics_of_its_convolution(count: int) -> None:
    net, split = network(), digits.split(150)
    calibrate(net, split, count)
    seen = split.normalisation(split.images[:count].unsqueeze(1))
    convolved = net.get_submodule("conv1")(seen).transpose(0, 1).flatten(1)
    norm = net.get_submodule("bn1")
    assert torch.allclose(norm.running_mean, convolved.mean(1), atol=1e-5)
    assert torch.allclose(norm.running_var, convolved.var(1), rtol=1e-5)


def test_batches_of_any_size_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    net, split = network(), digits.split(200)
    monkeypatch.setattr("stages.lib.calibration.BATCH", 50)
    calibrate(net, split, 200)
    batches = split.normalisation(split.images.unsqueeze(1)).split(50)
    convolved = [net.get_submodule("conv1")(batch).transpose(0, 1).flatten(1) for batch in batches]
    variance = torch.stack([each.var(1) for each in convolved]).mean(0)
    assert torch.allclose(net.get_submodule("bn1").running_var, variance, rtol=1e-5)
    assert BATCH >= 1000, "where the mean of the variances is the variance to 0.1 %"


def test_nothing_else_changes() -> None:
    net = network()
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    calibrate(net, digits.split(100), 100)
    assert all(torch.equal(weight, before[name]) for name, weight in net.named_parameters())
    assert all(weight.grad is None for weight in net.parameters())
    assert all(module.training for module in net.modules())
    assert {m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
