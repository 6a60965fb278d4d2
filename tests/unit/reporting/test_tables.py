"""Properties of the confusion table and the interval."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from digits.core.data_shape import DIGITS
from digits.reporting.tables import confusion, per_class, wilson_interval


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50))
def test_counts_add_up(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = map(list, zip(*pairs, strict=True))
    table = confusion(torch.tensor(predicted), torch.tensor(labels, dtype=torch.uint8), DIGITS)
    assert len(table) == 100
    assert table["count"].sum() == len(labels)
    for digit, name in enumerate(DIGITS):
        assert table[table["actual"] == name]["count"].sum() == labels.count(digit)
        assert table[table["predicted"] == name]["count"].sum() == predicted.count(digit)
    digits = per_class(table)
    wrong = sum(a != b for a, b in zip(labels, predicted, strict=True))
    assert digits["errors"].sum() == wrong
    assert digits["examples"].sum() == len(labels)
    assert digits["recall"].between(0, 1).all()


def test_rows_name_the_actual_digit_first_and_omit_digits_without_examples() -> None:
    table = confusion(torch.tensor([3, 3]), torch.tensor([3, 4], dtype=torch.uint8), DIGITS)
    cells = table.query("count == 1")[["actual", "predicted"]]
    assert cells.to_numpy().tolist() == [["3", "3"], ["4", "3"]]
    assert per_class(table)["class"].tolist() == ["3", "4"]
    assert per_class(table)["recall"].tolist() == [1.0, 0.0]


def test_the_wilson_interval_of_a_published_example() -> None:
    # 81 of 263, Newcombe (1998), Statistics in Medicine 17, table I: 0.2553 to 0.3662
    low, high = wilson_interval(81, 263)
    assert round(low, 4) == 0.2553
    assert round(high, 4) == 0.3662


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_is_scipys(counts: tuple[int, int]) -> None:
    theirs = binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert wilson_interval(*counts) == pytest.approx(tuple(theirs), abs=1e-12)
    assert 0 <= wilson_interval(*counts)[0] <= wilson_interval(*counts)[1] <= 1
