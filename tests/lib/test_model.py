"""Properties of the network and of the file that carries it."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from stages.lib import model, tensors
from stages.lib.errors import UserError
from stages.lib.model import DigitNet, Dropout
from stages.lib.parameters import Architecture, Model
from stages.lib.splits import Normalisation
from tests import digits

DESCRIBED = Architecture(blocks=[8, "pool", 16, "pool", 32, "pool"], hidden=32, dropout=0.4)
NORMALISATION = Normalisation(mean=0.1307, std=0.3081)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(architecture: Architecture = DESCRIBED, seed: int = 0) -> DigitNet:
    return DigitNet(architecture.blocks, architecture.hidden, architecture.dropout, seeded(seed))


def test_it_computes_what_plain_torch_modules_compute() -> None:
    ours = network()
    with torch.random.fork_rng(devices=[]):
        plain = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.4), nn.Linear(288, 32), nn.ReLU(), nn.Dropout(0.4),
            nn.Linear(32, 10),
        )  # fmt: skip
    ours, plain = ours.double(), plain.double()  # in float32, torch's BatchNorm is off by 1e-5
    weights = dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True))
    plain.load_state_dict(weights)
    images = torch.randn(32, 1, 28, 28, generator=seeded(), dtype=torch.float64)
    assert torch.allclose(ours.eval()(images), plain.eval()(images), atol=1e-12)
    for dropout in (module for module in plain if isinstance(module, nn.Dropout)):
        dropout.p = 0.0
    ours.dropout.p = 0.0
    loss = [net.train()(images).square().mean() for net in (ours, plain)]
    for each in loss:
        each.backward()
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    for mine, theirs in zip(ours.buffers(), plain.buffers(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_state_dict_has_the_described_names() -> None:
    names = {key.partition(".")[0] for key in network().state_dict()}
    assert names == {"conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "fc1", "fc2"}


@pytest.mark.parametrize(
    ("blocks", "hidden", "count"),
    [([4], None, 40 + 8 + 31_370), ([4, "pool", 6], 5, 40 + 8 + 222 + 12 + 5_885 + 60)],
)  # fmt: skip
def test_parameter_count_by_hand(blocks: list[int | str], hidden: int | None, count: int) -> None:
    architecture = Architecture(blocks=blocks, hidden=hidden, dropout=0)
    assert model.parameter_count(architecture) == count
    assert sum(weight.numel() for weight in network(architecture).parameters()) == count


def test_budget_is_a_gate() -> None:
    exact = Model(**DESCRIBED.model_dump(), parameter_budget=15_578)
    assert model.check_budget(exact) == 15_578
    with pytest.raises(UserError, match=r"model.parameter_budget is 15,577.*15,578 parameters"):
        model.check_budget(exact.model_copy(update={"parameter_budget": 15_577}))


def test_weights_are_drawn_as_torch_draws_them() -> None:
    for name, weight in network().named_parameters():
        if name.startswith(("conv", "fc")) and name.endswith("weight"):
            bound = 1 / math.sqrt(weight[0].numel())
            assert weight.abs().max() <= bound
            assert weight.abs().max() > 0.9 * bound
    assert torch.equal(network().fc1.weight, network().fc1.weight)
    assert not torch.equal(network(seed=1).fc1.weight, network().fc1.weight)


def test_logits_do_not_depend_on_batch_mates_in_evaluation() -> None:
    images = digits.split(20).images
    together = model.predict(network(), images, NORMALISATION)
    alone = torch.cat([model.predict(network(), image[None], NORMALISATION) for image in images])
    assert torch.allclose(together, alone, atol=1e-6)


def test_predict_leaves_the_mode_alone() -> None:
    net = network()
    for training in (True, False):
        model.predict(net.train(training), digits.split(10).images, NORMALISATION)
        assert net.training == training


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    ones = torch.ones(100_000)
    dropped = Dropout(0.4)(ones, seeded())
    assert (dropped == 0).float().mean().item() == pytest.approx(0.4, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(dropped, Dropout(0.4)(ones, seeded()))
    assert torch.equal(Dropout(0.4).eval()(ones, seeded()), ones)


def test_a_pool_before_the_first_convolution_keeps_negative_pixels() -> None:
    net = network(Architecture(blocks=["pool", 4], hidden=None, dropout=0)).eval()
    images = -torch.rand(4, 1, 28, 28, generator=seeded())
    assert not torch.equal(net(images), net(torch.zeros(4, 1, 28, 28)))


def test_saved_and_loaded_is_the_same_network(tmp_path: Path) -> None:
    net = network()
    images = digits.split(10).images
    model.save(tmp_path / "a.safetensors", net, NORMALISATION)
    model.save(tmp_path / "b.safetensors", net, NORMALISATION)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    loaded, normalisation = model.load(tmp_path / "a.safetensors")
    assert normalisation == NORMALISATION
    assert loaded.architecture == DESCRIBED
    assert not loaded.training
    assert torch.equal(
        model.predict(net, images, NORMALISATION), model.predict(loaded, images, normalisation)
    )


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(UserError, match="no such file"):
        model.load(path)
    model.save(path, network(), NORMALISATION)
    whole = path.read_bytes()
    for size in (0, 7, 8, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match="not a whole safetensors file"):
            model.load(path)
    tensors.save(path, network().state_dict(), NORMALISATION)
    with pytest.raises(UserError, match="no valid ModelHeader"):
        model.load(path)
    other = Architecture(blocks=[4], hidden=None, dropout=0)
    header = model.ModelHeader(architecture=other, normalisation=NORMALISATION)
    tensors.save(path, network().state_dict(), header)
    with pytest.raises(UserError, match="do not fit the architecture"):
        model.load(path)
