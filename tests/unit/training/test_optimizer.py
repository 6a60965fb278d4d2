"""The optimizer and its schedule are torch's, to the bit."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from digits.core import config
from digits.core.config import Training
from digits.training.optimizer import Adam, one_cycle
from tests.project import ROOT
from tests.unit.networks import seeded

TRAINING = config.read(ROOT / "recipes/described.yaml").train


def torchs(weights: list[nn.Parameter], training: Training, steps: int) -> tuple[Any, Any]:
    optimizer = torch.optim.Adam(weights, weight_decay=training.weight_decay, fused=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=training.max_learning_rate,
        total_steps=steps,
        pct_start=training.pct_start,
        div_factor=training.div_factor,
        final_div_factor=training.final_div_factor,
    )


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        (100, {}),
        (8911, {}),
        (11, {"pct_start": 0.37}),
        (50, {"pct_start": 0.99, "div_factor": 1}),
        (50, {"max_learning_rate": 0.1, "final_div_factor": 1}),
    ],
)
def test_every_rate_and_beta_is_that_of_one_cycle_lr(steps: int, values: dict[str, float]) -> None:
    training = TRAINING.model_copy(update=values)
    optimizer, schedule = torchs([nn.Parameter(torch.zeros(1))], training, steps)
    for step in range(steps):
        group = optimizer.param_groups[0]
        assert one_cycle(step, steps, training) == (group["lr"], group["betas"][0]), step
        optimizer.step()
        if step < steps - 1:
            schedule.step()


def test_the_weights_are_those_of_torchs_class() -> None:
    rng = seeded()
    start = [torch.randn(shape, generator=rng) for shape in ((8, 1, 3, 3), (10, 32), (7,))]
    mine, other = ([nn.Parameter(each.clone()) for each in start] for _ in range(2))
    training = TRAINING.model_copy(update={"weight_decay": 0.01})
    ours = Adam(mine, training, 40)
    optimizer, schedule = torchs(other, training, 40)
    for _ in range(39):
        for one, same in zip(mine, other, strict=True):
            one.grad = torch.randn(one.shape, generator=rng)
            same.grad = one.grad.clone()
        ours.step()
        optimizer.step()
        schedule.step()
    assert all(map(torch.equal, mine, other))
    assert not torch.equal(mine[0], start[0])
    ours.zero_grad()
    assert all(weight.grad is None for weight in mine)


def test_training_does_not_import_torchs_compiler() -> None:
    code = """if True:
        import sys, torch
        from pathlib import Path
        from digits.core import config
        from digits.training.optimizer import Adam
        weight = torch.nn.Parameter(torch.ones(2))
        weight.sum().backward()
        Adam([weight], config.read(Path("recipes/tuned.yaml")).train, 10).step()
        sys.exit("torch._dynamo" in sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
