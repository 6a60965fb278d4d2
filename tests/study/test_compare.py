"""Properties of the comparison of two recipes."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study import compare
from study.compare import difference, seeds_needed
from tests import documented
from tests.project import ROOT

ACCURACIES = st.lists(st.floats(98, 100), min_size=3, max_size=30).filter(
    lambda values: max(values) - min(values) > 0.01
)


@given(ACCURACIES, ACCURACIES)
def test_the_interval_holds_the_difference_and_turns_with_the_order(
    a: list[float], b: list[float]
) -> None:
    gap, low, high = difference(a, b)
    assert low <= gap <= high
    assert difference(b, a) == pytest.approx((-gap, -high, -low), abs=1e-9)


def test_difference_of_a_worked_example() -> None:
    # Welch (1947) as worked out by hand: means 2 and 5, variances 1 and 4, n 3 and 3
    gap, low, high = difference([1, 2, 3], [3, 5, 7])
    assert gap == 3
    # s.e. sqrt(5/3) = 1.291, 2.941 degrees of freedom, t 3.219
    assert low == pytest.approx(3 - 3.219 * 1.29099, abs=2e-3)
    assert high == pytest.approx(3 + 3.219 * 1.29099, abs=2e-3)


def test_more_seeds_are_needed_for_a_smaller_difference() -> None:
    a = [99.40, 99.45, 99.50]
    near, far = [value + 0.03 for value in a], [value + 0.3 for value in a]
    # the tables of Cohen (1988) say 45 of each for d = 0.03 / 0.05 = 0.6, 80 % power, 5 % two-sided
    assert seeds_needed(a, near) == 45
    assert seeds_needed(a, far) == 4, "more than there are"
    assert seeds_needed(a, a) is None


def test_the_seeds_that_are_there_are_never_called_enough() -> None:
    a, b = [99.40, 99.50], [99.65, 99.75]
    _, low, high = difference(a, b)
    assert low < 0 < high
    assert (seeds_needed(a, b) or 0) > 2


def test_seeds_without_spread_settle_nothing() -> None:
    assert difference([99.1, 99.1], [99.4, 99.4]) == pytest.approx((0.3, -math.inf, math.inf))
    assert seeds_needed([99.1, 99.1], [99.4, 99.4]) is None
    gap, low, high = difference([99.1, 99.1], [99.4, 99.5])
    # Welch's degrees of freedom are those of the pair that varies: 1, t 12.706, s.e. 0.05
    assert (gap, low, high) == pytest.approx((0.35, 0.35 - 0.6353, 0.35 + 0.6353), abs=1e-4)


def test_the_page_of_results_shows_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = documented.command("python -m study.compare described tuned")
    monkeypatch.setattr(sys, "argv", command.split()[2:])
    compare.main()
    shown = f"$ {command}\n{capsys.readouterr().out}```"
    assert shown in (ROOT / "docs/results.md").read_text()
