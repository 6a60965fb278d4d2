"""Properties of the network."""

import math

import pytest
import torch
from torch import nn

from digits.core.config import Model
from digits.core.errors import UserError
from digits.network import digitnet
from digits.network.digitnet import DigitNet, Dropout
from tests.unit.networks import network, seeded

DESCRIBED = ([8, "pool", 16, "pool", 32, "pool"], 32, 0.4)


def test_it_computes_what_plain_torch_modules_compute() -> None:
    ours = network(*DESCRIBED)
    with torch.random.fork_rng(devices=[]):
        plain = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.4), nn.Linear(288, 32), nn.ReLU(), nn.Dropout(0.4),
            nn.Linear(32, 10),
        )  # fmt: skip
    ours, plain = ours.double(), plain.double()  # in float32, torch's BatchNorm is off by 1e-5
    plain.load_state_dict(dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randn(32, 1, 28, 28, generator=seeded(), dtype=torch.float64)
    assert torch.allclose(ours.eval()(images), plain.eval()(images), atol=1e-12)
    for dropout in (ours.dropout, plain[13], plain[16]):
        dropout.p = 0.0
    for each in (ours, plain):
        each.train()(images).square().mean().backward()
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    for mine, theirs in zip(ours.buffers(), plain.buffers(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    names = {key.partition(".")[0] for key in ours.state_dict()}
    assert names == {"conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "fc1", "fc2"}


def test_the_budget_is_a_limit() -> None:
    blocks, hidden, dropout = DESCRIBED
    exact = Model(blocks=blocks, hidden=hidden, dropout=dropout, parameter_budget=15_578)
    assert digitnet.check_budget(exact) == 15_578
    assert sum(weight.numel() for weight in DigitNet(exact, seeded()).parameters()) == 15_578
    with pytest.raises(UserError, match=r"model.parameter_budget is 15,577.*15,578 parameters"):
        digitnet.check_budget(exact.model_copy(update={"parameter_budget": 15_577}))
    with pytest.raises(UserError, match=r"recipes/x.yaml: model.blocks.0 is 'pol'"):
        digitnet.check_budget(exact.model_copy(update={"blocks": ["pol"]}), "recipes/x.yaml")


def test_without_biases_a_network_computes_the_same_with_fewer_parameters() -> None:
    blocks = [4, "5 valid", "pool", 6, "gap"]
    biased, free = network(blocks), network(blocks, bias_free=True)
    weights = biased.state_dict()
    free.load_state_dict({name: weights[name] for name in free.state_dict()})
    images = torch.randn(16, 1, 28, 28, generator=seeded())
    assert torch.allclose(biased.train()(images), free.train()(images), atol=1e-5)
    counts = [sum(weight.numel() for weight in each.parameters()) for each in (biased, free)]
    assert counts[0] - counts[1] == 4 + 5 + 6


def test_weights_are_drawn_from_the_generator_as_torch_draws_them() -> None:
    one, same, other = network(*DESCRIBED), network(*DESCRIBED), network(*DESCRIBED, seed=1)
    for name, weight in one.named_parameters():
        if name.startswith(("conv", "fc")) and name.endswith("weight"):
            bound = 1 / math.sqrt(weight[0].numel())
            assert 0.9 * bound < weight.abs().max() <= bound
    assert torch.equal(one.fc1.weight, same.fc1.weight)
    assert not torch.equal(one.fc1.weight, other.fc1.weight)


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    ones = torch.ones(100_000)
    dropped = Dropout(0.4)(ones, seeded())
    assert (dropped == 0).float().mean().item() == pytest.approx(0.4, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(dropped, Dropout(0.4)(ones, seeded()))
    assert torch.equal(Dropout(0.4).eval()(ones, seeded()), ones)


def test_cuda_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert digitnet.pick_device("cpu") == digitnet.pick_device("auto") == torch.device("cpu")
    with pytest.raises(UserError, match="train.device is cuda, but torch finds no GPU"):
        digitnet.pick_device("cuda")
