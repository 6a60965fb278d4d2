"""Whether one recipe is better than another: `python -m study.compare A B`.

Reads metrics/study/A.json and B.json. Prints the difference of the means, B minus A, with its
95 % interval (Welch's t) and, if that includes zero, how many seeds would show the difference.
"""

import argparse
import json
import math
import statistics
from pathlib import Path

from scipy import stats

from digits.core.errors import UserError, exit_with

STUDY = Path(__file__).parent.parent / "metrics/study"
POWER = 0.8


def difference(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Mean of b minus mean of a, and the ends of its 95 % interval.

    Without any spread the noise is unknown, and the interval is infinite.

    Args:
        a: at least 2 values.
        b: at least 2 values.
    """
    gap = sum(b) / len(b) - sum(a) / len(a)
    squares = [statistics.variance(values) / len(values) for values in (a, b)]
    if sum(squares) == 0:
        return gap, -math.inf, math.inf
    freedom = sum(squares) ** 2 / sum(
        square**2 / (len(values) - 1) for square, values in zip(squares, (a, b), strict=True)
    )
    reach = float(stats.t.ppf(0.975, freedom)) * math.sqrt(sum(squares))
    return gap, gap - reach, gap + reach


def seeds_needed(a: list[float], b: list[float]) -> int | None:
    """How many seeds of each, more than there are, would show a difference as large as this one.

    With 80 % power, if the difference and the variances are the true ones: the least n with
    n >= (t_{0.975} + t_{0.8})^2 (s_a^2 + s_b^2) / d^2, both quantiles with 2 n - 2 degrees of
    freedom. None if the difference is 0 or nothing varies.
    """
    gap = sum(b) / len(b) - sum(a) / len(a)
    variance = statistics.variance(a) + statistics.variance(b)
    if gap == 0 or variance == 0:
        return None

    def needed(n: float) -> float:
        quantiles = float(stats.t.ppf(0.975, 2 * n - 2) + stats.t.ppf(POWER, 2 * n - 2))
        return quantiles**2 * variance / gap**2

    n = max(math.ceil(needed(math.inf)), len(a) + 1, len(b) + 1)
    while n < needed(n):
        n += 1
    return n


def read(name: str) -> list[float]:
    """The accuracy of every seed of a recipe, in percent."""
    path = STUDY / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in STUDY.glob("*.json")))
        raise UserError(f"{path}: no such file; studied recipes are {known or 'none'}")
    accuracies = [100 * value for value in json.loads(path.read_text())["accuracies"].values()]
    if len(accuracies) < 2:
        raise UserError(f"{path}: holds {len(accuracies)} seeds; a comparison needs at least 2")
    return accuracies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a")
    parser.add_argument("b")
    names = parser.parse_args()
    a, b = read(names.a), read(names.b)
    gap, low, high = difference(a, b)
    for name, values in ((names.a, a), (names.b, b)):
        mean, sd = statistics.mean(values), statistics.stdev(values)
        print(f"{name}: {mean:.3f} % (n {len(values)}, sd {sd:.3f})")
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
