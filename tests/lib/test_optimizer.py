"""The optimizer and its schedule are torch's, to the bit."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from stages.lib import parameters
from stages.lib.optimizer import Adam, one_cycle
from stages.lib.parameters import Train
from tests.project import ROOT

CHOSEN = parameters.read(ROOT / "recipes/described.yaml").train


def theirs(weights: list[nn.Parameter], chosen: Train, steps: int) -> tuple[object, object]:
    optimizer = torch.optim.Adam(weights, weight_decay=chosen.weight_decay, fused=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=chosen.max_learning_rate,
        total_steps=steps,
        pct_start=chosen.pct_start,
        div_factor=chosen.div_factor,
        final_div_factor=chosen.final_div_factor,
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
    chosen = CHOSEN.model_copy(update=values)
    optimizer, schedule = theirs([nn.Parameter(torch.zeros(1))], chosen, steps)
    for step in range(steps):
        group = optimizer.param_groups[0]
        assert one_cycle(step, steps, chosen) == (group["lr"], group["betas"][0]), step
        optimizer.step()
        if step < steps - 1:
            schedule.step()


def test_the_weights_are_those_of_torchs_class() -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((8, 1, 3, 3), (10, 32), (7,))]
    mine, other = ([nn.Parameter(each.clone()) for each in start] for _ in range(2))
    chosen = CHOSEN.model_copy(update={"weight_decay": 0.01})
    ours = Adam(mine, chosen, 40)
    optimizer, schedule = theirs(other, chosen, 40)
    for _ in range(39):
        gradients = [torch.randn(each.shape, generator=generator) for each in start]
        for weights in (mine, other):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient.clone()
        ours.step()
        optimizer.step()
        schedule.step()
    assert all(map(torch.equal, mine, other))
    assert not torch.equal(mine[0], start[0])
    ours.zero_grad()
    assert all(weight.grad is None for weight in mine)


def test_training_does_not_import_torchs_compiler() -> None:
    command = (
        "import sys, torch\n"
        "from tests.lib.test_optimizer import CHOSEN, Adam\n"
        "weight = torch.nn.Parameter(torch.ones(2))\n"
        "weight.sum().backward()\n"
        "Adam([weight], CHOSEN, 10).step()\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True)
