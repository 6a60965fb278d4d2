"""Successive halving."""

from collections.abc import Sequence
from typing import cast

import pandas as pd
import pytest

from study.search import halve
from study.seeds import Study


class Rows:
    """Stands for a Study: the loss of seed k of a candidate is its first loss, or its second."""

    def __init__(self, losses: dict[str, tuple[float, float]]) -> None:
        self.losses = losses
        self.asked: list[tuple[list[int], list[str]]] = []

    def rows(self, seeds: Sequence[int], names: Sequence[str] = ()) -> pd.DataFrame:
        names = names or list(self.losses)
        self.asked.append((list(seeds), list(names)))
        return pd.DataFrame(
            [(name, seed, self.losses[name][min(seed, 1)]) for name in names for seed in seeds],
            columns=["recipe", "seed", "loss"],
        )


LOSSES = {"a": (0.4, 0.4), "b": (0.1, 0.9), "c": (0.2, 0.2), "d": (0.3, 0.1), "e": (0.5, 0.0)}


@pytest.mark.parametrize(
    ("rounds", "asked", "best"),
    [
        (1, [([0], ["a", "b", "c", "d", "e"])], ["b", "c", "d", "a", "e"]),
        (2, [([0], ["a", "b", "c", "d", "e"]), ([0, 1], ["b", "c"])], ["c", "b"]),
    ],
)
def test_the_better_half_goes_on_with_twice_the_seeds(
    rounds: int, asked: list[tuple[list[int], list[str]]], best: list[str]
) -> None:
    study = Rows(LOSSES)
    assert list(halve(cast(Study, study), rounds)) == best
    assert study.asked == asked


def test_the_last_candidate_stays() -> None:
    assert halve(cast(Study, Rows(LOSSES)), 5) == {"c": 0.2}
