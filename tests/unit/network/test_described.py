"""The four tests that the described recipe names, on the network of its parameter file."""

import pytest
import torch
from torch import nn

from digits.core import config
from digits.network.digitnet import DigitNet
from tests.project import ROOT
from tests.unit.networks import seeded

NETWORK = DigitNet(config.read(ROOT / "recipes/described.yaml").model, seeded()).eval()


@pytest.mark.parametrize("count", [1, 32])
def test_forward_pass(count: int) -> None:
    assert NETWORK(torch.zeros(count, 1, 28, 28)).shape == (count, 10)


def test_parameter_count() -> None:
    assert sum(parameter.numel() for parameter in NETWORK.parameters()) == 15_578 < 20_000


def test_dropout_rate() -> None:
    assert NETWORK.dropout.p == 0.4


def test_convolution_layers() -> None:
    convolutions = [module for module in NETWORK.modules() if isinstance(module, nn.Conv2d)]
    widths = [(layer.in_channels, layer.out_channels) for layer in convolutions]
    assert widths == [(1, 8), (8, 16), (16, 32)]
