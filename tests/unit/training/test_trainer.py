"""The fast path trains as torch does, from the same random numbers."""

import pytest
import torch

from digits.core import config
from digits.training.optimizer import Adam
from digits.training.trainer import FastTrainer, TorchTrainer, Trainer, trainer_of
from tests import drawn
from tests.project import ROOT
from tests.unit.networks import network, seeded

SPLIT = drawn.split(110)
IMAGES = SPLIT.normalisation(SPLIT.images.unsqueeze(1))
TRAINING = config.read(ROOT / "recipes/tuned.yaml").train.model_copy(
    update={"batch_size": 20, "weight_decay": 0.1, "max_learning_rate": 0.001}
)


def trained(kind: type[Trainer]) -> tuple[Trainer, torch.Tensor, torch.Generator]:
    """A trainer after twelve steps, the logits of the steps, and the generator of the masks."""
    rng, made = seeded(), network([4, "pool", 6, "pool"], 8, 0.4)
    trainer = kind(made, Adam(made.parameters(), TRAINING, 12))
    logits = [trainer.train(IMAGES, SPLIT.labels, rng) for _ in range(2)]
    trainer.finish()
    return trainer, torch.cat(logits), rng


def test_steps_statistics_and_random_numbers_are_torchs() -> None:
    (fast, ours, own), (plain, theirs, other) = trained(FastTrainer), trained(TorchTrainer)
    assert torch.allclose(ours, theirs, atol=2e-4)
    assert torch.equal(own.get_state(), other.get_state())
    assert fast.optimizer.learning_rate == plain.optimizer.learning_rate
    assert torch.equal(fast.optimizer.state()["taken"], torch.tensor(12))
    for momentum in (0.3, 1):
        for trainer in (fast, plain):
            trainer.collect_statistics(IMAGES[:50], momentum)
        for (name, one), two in zip(
            fast.network.state_dict().items(), plain.network.state_dict().values(), strict=True
        ):
            if not name.endswith(("conv1.bias", "conv2.bias", "running_mean")):  # noise in torch
                assert torch.allclose(one.float(), two.float(), atol=2e-4), name
    one, two = (each.classify(SPLIT.images, SPLIT.normalisation) for each in (fast, plain))
    assert torch.allclose(one, two, atol=1e-3)


def test_the_network_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for dtype, kind in ((torch.float32, FastTrainer), (torch.float64, TorchTrainer)):
        made = network([4, "pool"]).to(dtype)
        assert type(trainer_of(made, Adam(made.parameters(), TRAINING, 12))) is kind
