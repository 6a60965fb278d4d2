"""Calibrated probabilities are what they say."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from digits.reporting.calibration import calibration_error, reliability
from digits.training.metrics import temperature
from tests.unit.networks import seeded


def honest(count: int, factor: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are `factor` too large, and labels drawn from the probabilities without it."""
    logits = 2 * torch.randn(count, 10, generator=seeded())
    labels = torch.multinomial(logits.softmax(1), 1, generator=seeded()).flatten()
    return factor * logits, labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_takes_a_factor_back(factor: float) -> None:
    logits, labels = honest(20_000, factor)
    divisor = temperature(logits, labels)
    assert divisor == pytest.approx(factor, rel=0.05)
    assert calibration_error(reliability(logits, labels, divisor)) < 0.02
    if factor != 1:
        assert calibration_error(reliability(logits, labels, 1)) > 0.1


@pytest.mark.parametrize("errors", [0, 9, 10])
def test_with_hardly_an_error_it_is_1(errors: int) -> None:
    """Else the network would be made certain of everything that it is shown."""
    assert temperature(torch.zeros(0, 10), torch.zeros(0, dtype=torch.uint8)) == 1
    labels = torch.arange(100) % 10
    logits = F.one_hot(labels, 10).double()
    logits[:errors] = logits[:errors].roll(1, 1)
    assert (temperature(logits, labels) == 1) == (errors < 10)


@given(st.integers(30, 90))
def test_no_other_temperature_has_a_lower_loss(count: int) -> None:
    logits, labels = honest(count, 1)
    best = temperature(logits, labels)
    assert (logits.argmax(1) != labels).sum() >= 10
    loss = [float(F.cross_entropy(logits / t, labels)) for t in (best, 0.9 * best, 1.1 * best)]
    assert loss[0] <= min(loss[1:]) + 1e-4


def test_every_digit_is_in_one_row() -> None:
    logits, labels = honest(500, 1)
    table = reliability(logits, labels, 1)
    assert table["count"].sum() == 500
    right = (table["accuracy"] * table["count"]).sum()
    assert right == pytest.approx(int((logits.argmax(1) == labels).sum()), abs=0.5)
    assert table["probability"].is_monotonic_increasing
    sure = torch.full((3, 10), -1e9).index_fill(1, torch.tensor([4]), 0)
    one = reliability(sure, torch.tensor([4, 4, 5]), 1)
    assert one.to_dict("records") == [{"probability": 1.0, "accuracy": 0.6667, "count": 3}]
    assert calibration_error(one) == pytest.approx(1 / 3, abs=1e-4)
