"""Properties of the comparison of two recipes."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digits.core.errors import UserError
from study import compare
from study.compare import Accuracies, difference, seeds_needed
from tests import documented
from tests.project import ROOT

ACCURACIES = st.dictionaries(st.integers(0, 9), st.floats(98, 100), min_size=7)


def seeds(*values: float) -> Accuracies:
    return dict(enumerate(values))


@given(ACCURACIES, ACCURACIES)
def test_the_interval_holds_the_difference_and_turns_with_the_order(
    a: Accuracies, b: Accuracies
) -> None:
    gap, low, high = difference(a, b)
    assert low <= gap <= high
    assert difference(b, a) == pytest.approx((-gap, -high, -low), abs=1e-9)


def test_difference_of_a_worked_example() -> None:
    # pairs differ by 2, 3, 4: mean 3, s.e. 1 / sqrt(3), 2 degrees of freedom, t 4.303
    gap, low, high = difference(seeds(1, 2, 3), seeds(3, 5, 7))
    assert gap == 3
    assert low == pytest.approx(3 - 4.303 * 0.57735, abs=2e-3)
    assert high == pytest.approx(3 + 4.303 * 0.57735, abs=2e-3)


def test_seeds_are_paired_whatever_their_order() -> None:
    a, b = {0: 99.0, 1: 99.2, 7: 50.0}, {1: 99.3, 0: 99.1, 8: 50.0}
    assert difference(a, b)[0] == pytest.approx(0.1)


def test_more_seeds_are_needed_for_a_smaller_difference() -> None:
    a = seeds(99.40, 99.45, 99.50)
    near, far = seeds(99.38, 99.48, 99.58), seeds(99.65, 99.75, 99.85)
    # the tables of Cohen (1988) say 24 pairs for d = 0.03 / 0.05 = 0.6, 80 % power, 5 % two-sided
    assert seeds_needed(a, near) == 24
    assert seeds_needed(a, far) == 4, "more than there are"
    assert seeds_needed(a, a) is None


def test_the_seeds_that_are_there_are_never_called_enough() -> None:
    a, b = seeds(99.40, 99.50), seeds(99.65, 99.80)
    _, low, high = difference(a, b)
    assert low < 0 < high
    assert (seeds_needed(a, b) or 0) > 2


def test_pairs_without_spread_settle_nothing() -> None:
    a, b = seeds(99.0, 99.25), seeds(99.5, 99.75)
    assert difference(a, b) == (0.5, -math.inf, math.inf)
    assert seeds_needed(a, b) is None


def test_recipes_without_common_seeds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["study.compare", "a", "b"])
    read = {"a": {"accuracies": seeds(1, 2)}, "b": {"accuracies": {5: 1.0, 6: 2.0}}}
    monkeypatch.setattr(compare, "read", read.__getitem__)
    with pytest.raises(UserError, match="a and b have fewer than 2 seeds in common"):
        compare.main()


def test_the_page_of_results_shows_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = documented.command("python -m study.compare described tuned")
    monkeypatch.setattr(sys, "argv", command.split()[2:])
    compare.main()
    shown = f"$ {command}\n{capsys.readouterr().out}```"
    assert shown in (ROOT / "docs/results.md").read_text()
