"""Pictures of the recipes' results: every seed, and accuracy against parameters."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from digits.reporting.pictures import ACCENT, INK, png

PROMISE = 99.43  # percent, the accuracy that the described recipe promises

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
    for drawn, (name, result) in enumerate(results.items()):
        mean, low, high = (100 * result[key] for key in ("mean", "mean_low", "mean_high"))
        errors = [[mean - low], [high - mean]]
        axes.errorbar(
            result["parameters"], mean, yerr=errors, fmt="D", color=ACCENT, capsize=4,
            label=None if drawn else "ours: mean of the seeds and its 95 % interval",
        )  # fmt: skip
        axes.annotate(name, (result["parameters"], mean), (7, 3), textcoords="offset points")
    axes.axhline(PROMISE, color="#d55e00", linestyle="--", linewidth=1)
    axes.text(600, PROMISE, f"promised: {PROMISE} %", color="#a04000", fontsize=9, va="bottom")
    axes.set(xscale="log", xlabel="parameters", ylabel="test accuracy, %")
    axes.set_xticks(ticks := [700, 1000, 2000, 5000, 10_000, 20_000], [f"{n:,}" for n in ticks])
    axes.set_xticks([], minor=True)
    axes.legend(fontsize=8, loc="lower right")
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    return png(figure)
