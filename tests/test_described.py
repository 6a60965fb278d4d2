"""The four tests that the described recipe names, on the network of its parameter file."""

from pathlib import Path

import pytest
import torch
from torch import nn

from stages.lib import parameters
from stages.lib.model import DigitNet

RECIPE = parameters.read(Path(__file__).parent.parent / "recipes/described.yaml")


@pytest.fixture
def network() -> DigitNet:
    model = RECIPE.model
    generator = torch.Generator().manual_seed(0)
    return DigitNet(model.blocks, model.hidden, model.dropout, generator).eval()


@pytest.mark.parametrize("count", [1, 32])
def test_forward_pass(network: DigitNet, count: int) -> None:
    assert network(torch.zeros(count, 1, 28, 28)).shape == (count, 10)


def test_parameter_count(network: DigitNet) -> None:
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == 15_578
    assert count < 20_000


def test_dropout_rate(network: DigitNet) -> None:
    assert network.dropout.p == 0.4


def test_convolution_layers(network: DigitNet) -> None:
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    widths = [(layer.in_channels, layer.out_channels) for layer in convolutions]
    assert widths == [(1, 8), (8, 16), (16, 32)]


def test_the_recipe_is_the_described_one() -> None:
    train = RECIPE.train
    assert (train.epochs, train.batch_size, train.weight_decay) == (19, 128, 1e-4)
    schedule = (train.max_learning_rate, train.pct_start, train.div_factor, train.final_div_factor)
    assert schedule == (0.003, 0.2, 10, 100)
    augment = RECIPE.augment
    assert (augment.rotation, augment.translation, augment.interpolation) == (10, 0.1, "nearest")
    assert RECIPE.preprocess.validation_size == 0, "trained on all 60,000 images"
