"""Properties of the scores."""

import math

import torch

from stages.lib.scores import score


def test_certain_and_right_is_perfect() -> None:
    labels = torch.arange(10, dtype=torch.uint8)
    assert score(torch.eye(10) * 100, labels) == {"loss": 0, "accuracy": 1}


def test_knowing_nothing_costs_log_ten() -> None:
    labels = torch.arange(10, dtype=torch.uint8)
    assert math.isclose(score(torch.zeros(10, 10), labels)["loss"], math.log(10))


def test_every_example_counts_once() -> None:
    logits = torch.randn(7, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 5, 6], dtype=torch.uint8)
    apart = [score(logits[i : i + 1], labels[i : i + 1]) for i in range(7)]
    whole = score(logits, labels)
    for name in ("loss", "accuracy"):
        assert math.isclose(whole[name], sum(one[name] for one in apart) / 7)
