"""Pictures of the recipes' results: every seed, and accuracy against parameters and time."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digits.reporting.pictures import ACCENT, INK, png

PROMISE = 99.43  # percent, the accuracy that the described recipe promises
PLAIN = "one epoch of the plain script"  # an arm of the benchmarks

Summaries = dict[str, dict[str, Any]]


def picture(results: Summaries) -> bytes:
    """Every seed as a dot, the mean with its interval as a diamond, a recipe a row; PNG."""
    figure = Figure(figsize=(8, 1.2 + 0.8 * len(results)), layout="constrained", dpi=100)
    axes = figure.add_subplot()
    for row, result in enumerate(results.values()):
        seen: dict[float, int] = {}
        for value in sorted(100 * each for each in result["accuracies"].values()):
            seen[value] = seen.get(value, 0) + 1  # equal accuracies are stacked
            axes.plot(value, row + 0.07 * seen[value], ".", color=INK, alpha=0.6, markersize=5)
        mean, low, high = (100 * result[key] for key in ("mean", "mean_low", "mean_high"))
        errors = [[mean - low], [high - mean]]
        axes.errorbar(mean, row - 0.12, xerr=errors, fmt="D", color=ACCENT, capsize=4)
    axes.axvline(PROMISE, color="#d55e00", linestyle="--", linewidth=1)
    axes.text(PROMISE, len(results) - 0.3, f" promised: {PROMISE} %", color="#a04000", fontsize=9)
    labels = [f"{name}\n{result['parameters']:,} parameters" for name, result in results.items()]
    axes.set_yticks(range(len(results)), labels)
    axes.set_ylim(-0.5, len(results) - 0.1)
    axes.set_xlabel("test accuracy, %; dot: a seed; diamond: their mean and its 95 % interval")
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    return png(figure)


def frontier(results: Summaries, published: pd.DataFrame) -> bytes:
    """Mean test accuracy with its interval against parameters, and what others published; PNG."""
    figure = Figure(figsize=(8, 5), layout="constrained", dpi=100)
    axes = figure.add_subplot()
    for (kind, group), marker in zip(published.groupby("kind", sort=False), "ox^sv", strict=False):
        axes.plot(
            group["parameters"], group["accuracy"], marker, color=INK, alpha=0.6, markersize=5,
            fillstyle="none", label=f"published: {kind}",
        )  # fmt: skip
    _means(axes, results, {name: result["parameters"] for name, result in results.items()})
    _log(axes, "parameters", [700, 1000, 2000, 5000, 10_000, 20_000])
    axes.legend(fontsize=8, loc="lower right")
    return png(figure)


def by_seconds(results: Summaries, times: pd.DataFrame) -> bytes:
    """Mean test accuracy with its interval against seconds of training; PNG.

    Args:
        results: recipes that have not been timed are left out.
        times: columns arm and median; the arms are recipes and PLAIN.
    """
    figure = Figure(figsize=(8, 4), layout="constrained", dpi=100)
    axes = figure.add_subplot()
    seconds: dict[str, float] = dict(zip(times["arm"], times["median"], strict=True))
    _means(axes, {name: each for name, each in results.items() if name in seconds}, seconds)
    axes.axvline(seconds[PLAIN], color=INK, linestyle=":", linewidth=1)
    above = axes.get_xaxis_transform()  # y as a share of the height
    axes.text(seconds[PLAIN], 0.95, f" {PLAIN}", color=INK, fontsize=9, transform=above)
    _log(axes, "seconds of training, to the last epoch", [5, 10, 20, 50, 100, 200, 500])
    return png(figure)


def is_crowded(name: str, means: Mapping[str, float], x: Mapping[str, float]) -> bool:
    """Whether a name to the right of its diamond would cover another diamond, or PLAIN's line.

    Args:
        name: of the recipe.
        means: percent, by recipe.
        x: where each is on a logarithmic axis.
    """
    return any(
        1 < at / x[name] < 1.6 and abs(means.get(other, means[name]) - means[name]) < 0.025
        for other, at in x.items()
    )


def _means(axes: Axes, results: Summaries, x: Mapping[str, float]) -> None:
    """A named diamond with its interval for each recipe, and a line at what was promised."""
    means = {name: 100 * result["mean"] for name, result in results.items()}
    for drawn, (name, mean) in enumerate(means.items()):
        low, high = (100 * results[name][key] for key in ("mean_low", "mean_high"))
        errors = [[mean - low], [high - mean]]
        axes.errorbar(
            x[name], mean, yerr=errors, fmt="D", color=ACCENT, capsize=4,
            label=None if drawn else "ours: mean of the seeds and its 95 % interval",
        )  # fmt: skip
        crowded = is_crowded(name, means, x)
        axes.annotate(
            name, (x[name], mean), (-7 if crowded else 7, 3), textcoords="offset points",
            horizontalalignment="right" if crowded else "left",
        )  # fmt: skip
    axes.axhline(PROMISE, color="#d55e00", linestyle="--", linewidth=1)
    axes.text(
        0, PROMISE, f" promised: {PROMISE} %", color="#a04000", fontsize=9, va="bottom",
        transform=axes.get_yaxis_transform(),
    )  # fmt: skip


def _log(axes: Axes, xlabel: str, ticks: list[int]) -> None:
    """A logarithmic axis below, and no frame above and at the right."""
    axes.set(xscale="log", xlabel=xlabel, ylabel="test accuracy, %")
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.set_xticks([], minor=True)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
