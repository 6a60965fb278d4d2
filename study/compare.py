"""Whether one recipe is better than another: `python -m study.compare A B`.

Reads metrics/study/A.json and B.json. Prints the mean and the cost of each, the difference of the
means over the seeds that both have, B minus A, with its 95 % interval (Student's t of the pairs:
with the same network, a seed draws the same first weights) and, if that includes zero, how many
seeds would show the difference.
"""

import argparse
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scipy import stats

from digits.core import files
from digits.core.errors import UserError, exit_with

STUDY = Path(__file__).parent.parent / "metrics/study"
POWER = 0.8

Accuracies = Mapping[int, float]  # percent, by seed


def gaps(a: Accuracies, b: Accuracies) -> list[float]:
    """B minus A for every seed that both have."""
    return [b[seed] - a[seed] for seed in sorted(a.keys() & b.keys())]


def difference(a: Accuracies, b: Accuracies) -> tuple[float, float, float]:
    """Mean of b minus a over the seeds that both have, and the ends of its 95 % interval.

    Without any spread the noise is unknown, and the interval is infinite. At least 2 seeds.
    """
    pairs = gaps(a, b)
    gap, error = statistics.mean(pairs), statistics.stdev(pairs) / math.sqrt(len(pairs))
    if error == 0:
        return gap, -math.inf, math.inf
    reach = float(stats.t.ppf(0.975, len(pairs) - 1)) * error
    return gap, gap - reach, gap + reach


def seeds_needed(a: Accuracies, b: Accuracies) -> int | None:
    """How many seeds, more than there are, would show a difference as large as this one.

    With 80 % power, if the difference and its variance are the true ones: the least n with
    n >= (t_{0.975} + t_{0.8})^2 s^2 / d^2, both quantiles with n - 1 degrees of freedom. None if
    the difference is 0 or nothing varies.
    """
    pairs = gaps(a, b)
    gap, variance = statistics.mean(pairs), statistics.variance(pairs)
    if gap == 0 or variance == 0:
        return None

    def needed(n: float) -> float:
        quantiles = float(stats.t.ppf(0.975, n - 1) + stats.t.ppf(POWER, n - 1))
        return quantiles**2 * variance / gap**2

    n = max(math.ceil(needed(math.inf)), len(pairs) + 1)
    while n < needed(n):
        n += 1
    return n


def read(name: str) -> dict[str, Any]:
    """The summary of a recipe; its `accuracies` are in percent, by seed."""
    path = STUDY / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in STUDY.glob("*.json")))
        raise UserError(f"{path}: no such file; studied recipes are {known or 'none'}")
    summary = files.read_json(path)
    accuracies: dict[str, float] = summary.get("accuracies", {})
    if len(accuracies) < 2:
        raise UserError(f"{path}: holds {len(accuracies)} seeds; a comparison needs at least 2")
    percent = {int(seed): 100 * value for seed, value in accuracies.items()}
    return summary | {"accuracies": percent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a")
    parser.add_argument("b")
    names = parser.parse_args()
    summaries = {name: read(name) for name in (names.a, names.b)}
    a, b = (summaries[name]["accuracies"] for name in (names.a, names.b))
    if len(gaps(a, b)) < 2:
        raise UserError(f"{names.a} and {names.b} have fewer than 2 seeds in common")
    gap, low, high = difference(a, b)
    for name, each in summaries.items():
        values = each["accuracies"].values()
        print(
            f"{name}: {statistics.mean(values):.3f} % (n {len(values)}, "
            f"sd {statistics.stdev(values):.3f}), {each['parameters']:,} parameters, "
            f"{each['epochs']} epochs"
        )
    print(f"{names.b} - {names.a}: {gap:+.3f} points, 95 % interval {low:+.3f} to {high:+.3f}")
    if low <= 0 <= high:
        needed = seeds_needed(a, b)
        advice = (
            f"{needed} seeds of each would show a difference this large with 80 % power"
            if needed
            else "with equal means or no spread, no number of seeds can be estimated"
        )
        print(f"not significant: {advice}")


if __name__ == "__main__":
    exit_with(main)
