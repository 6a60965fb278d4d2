"""Put what was studied side by side: `python -m study.report`.

Reads metrics/study/*.json, metrics/study/screen.csv, study/params.yaml and recipes/. Writes tables
between markers of README.md and of docs/recipes.md, plots/study.png: every seed and the interval
of each mean, and metrics/study.json: the summaries without the seeds, which the model card reads.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from stages.lib import files, parameters
from stages.lib.errors import UserError, exit_with
from stages.lib.pictures import ACCENT, INK, png
from study import plan
from study.compare import difference
from study.seeds import ROOT, read_rows

RESULTS = ROOT / "metrics/study"
SCREEN = RESULTS / "screen.csv"
SUMMARIES = ROOT / "metrics/study.json"
README = ROOT / "README.md"
RECIPES = ROOT / "docs/recipes.md"
PLOT = ROOT / "plots/study.png"
BEGIN, END = "<!-- begin: python -m study.report -->", "<!-- end -->"
BEGIN_DEPARTURES = "<!-- begin: departures, by python -m study.report -->"
PROMISE = 99.43  # percent, what the description says that recipes/described.yaml follows

Summaries = dict[str, dict[str, Any]]


def read() -> Summaries:
    """The summaries by name of the recipe, lowest mean first."""
    found = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: item[1]["mean"]))


def summaries(results: Summaries) -> Summaries:
    """The same without the accuracy of each seed."""
    return {
        name: {key: value for key, value in found.items() if key != "accuracies"}
        for name, found in results.items()
    }


def table(results: Summaries) -> str:
    """A Markdown table, one recipe a row; accuracies in percent."""
    lines = [
        "| recipe | parameters | epochs | trained on | seeds | mean test accuracy, % "
        "| 95 % interval of the mean | sd | lowest to highest seed |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, found in results.items():
        mean, low, high, sd = (
            f"{100 * found[key]:.3f}" for key in ("mean", "mean_low", "mean_high", "sd")
        )
        least, most = f"{100 * found['min']:.2f}", f"{100 * found['max']:.2f}"
        lines.append(
            f"| [`{name}`](recipes/{name}.yaml) | {found['parameters']:,} | {found['epochs']} "
            f"| {found['images']:,} | {found['n']} | **{mean}** | {low} to {high} | {sd} "
            f"| {least} to {most} |"
        )
    return "\n".join(lines)


def screen_table(rows: pd.DataFrame) -> str:
    """A Markdown table, one variant a row, each compared with the recipe that it changes."""
    if not len(rows):
        return "No rows yet: `python -m study.screen` has not run."
    lines = [
        "| recipe and what is changed in it | seeds | validation accuracy, % "
        "| difference, points (95 % interval) | validation loss | training accuracy, % |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    accuracies = {name: list(100 * found["accuracy"]) for name, found in rows.groupby("recipe")}
    for name, found in rows.groupby("recipe"):
        recipe, _, change = str(name).partition(": ")
        said = f"`{recipe}`"
        against = ""
        if change:
            said = f"{said}: `{change}`"
            gap, low, high = difference(accuracies[recipe], accuracies[name])
            against = f"{gap:+.3f} ({low:+.3f} to {high:+.3f})"
        lines.append(
            f"| {said} | {len(found)} | {100 * found['accuracy'].mean():.3f} | {against} "
            f"| {found['loss'].mean():.4f} | {100 * found['train_accuracy'].mean():.2f} |"
        )
    return "\n".join(lines)


def departures(rows: pd.DataFrame) -> str:
    """A Markdown table of what `tuned` does not take from `described`, and what that is worth.

    Args:
        rows: of the screening; a change counts if it takes the described values back.
    """
    described, tuned = (
        parameters.read(ROOT / f"recipes/{name}.yaml").model_dump()
        for name in ("described", "tuned")
    )
    accuracies = {name: list(100 * found["accuracy"]) for name, found in rows.groupby("recipe")}
    found: list[tuple[float, str]] = []
    for change in plan.read(ROOT / plan.PATH).screen.changes["tuned"]:
        keys = {name: name.split(".") for name in change}
        taken_back = all(described[keys[n][0]][keys[n][1]] == value for n, value in change.items())
        label = plan.label("tuned", change)
        if not taken_back or label not in accuracies:
            continue
        said = ", ".join(
            f"`{name}` {shown(described[section][key])} → {shown(tuned[section][key])}"
            for name, (section, key) in keys.items()
        )
        gap, low, high = difference(accuracies[label], accuracies["tuned"])
        found.append((gap, f"| {said} | {gap:+.3f} | {low:+.3f} to {high:+.3f} |"))
    return "\n".join(
        [
            "| departure, described → tuned | worth, points | 95 % interval |",
            "|---|--:|--:|",
            *(line for _, line in sorted(found, reverse=True)),
        ]
    )


def shown(value: object) -> str:
    """A value as parameter files have it."""
    return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)


def picture(results: Summaries) -> bytes:
    """Every seed as a dot, the mean with its interval as a diamond, a recipe a row; PNG."""
    figure = Figure(figsize=(8, 1.2 + 0.8 * len(results)), layout="constrained", dpi=100)
    axes = figure.add_subplot()
    for row, found in enumerate(results.values()):
        seen: dict[float, int] = {}
        for value in sorted(100 * each for each in found["accuracies"].values()):
            seen[value] = seen.get(value, 0) + 1  # equal accuracies are stacked
            axes.plot(value, row + 0.07 * seen[value], ".", color=INK, alpha=0.6, markersize=5)
        mean, low, high = (100 * found[key] for key in ("mean", "mean_low", "mean_high"))
        errors = [[mean - low], [high - mean]]
        axes.errorbar(mean, row - 0.12, xerr=errors, fmt="D", color=ACCENT, capsize=4)
    axes.axvline(PROMISE, color="#d55e00", linestyle="--", linewidth=1)
    axes.text(PROMISE, len(results) - 0.3, f" promised: {PROMISE} %", color="#a04000", fontsize=9)
    labels = [f"{name}\n{found['parameters']:,} parameters" for name, found in results.items()]
    axes.set_yticks(range(len(results)), labels)
    axes.set_ylim(-0.5, len(results) - 0.1)
    axes.set_xlabel("test accuracy, %; dot: a seed; diamond: their mean and its 95 % interval")
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    return png(figure)


def insert(path: Path, tables: Mapping[str, str]) -> str:
    """The text of the file with each table below the marker that is its key, down to END.

    Raises:
        UserError: a marker is missing.
    """
    text = path.read_text()
    for begin, found in tables.items():
        before, begun, rest = text.partition(begin)
        _, end, after = rest.partition(END)
        if not begun or not end:
            raise UserError(f"{path}: expected the lines {begin!r} and {END!r} around a table")
        text = f"{before}{begin}\n\n{found}\n\n{END}{after}"
    return text


def readme(results: Summaries, rows: pd.DataFrame) -> str:
    """What README.md should say."""
    return insert(README, {BEGIN: table(results), BEGIN_DEPARTURES: departures(rows)})


def document(rows: pd.DataFrame) -> str:
    """What docs/recipes.md should say."""
    return insert(RECIPES, {BEGIN: screen_table(rows)})


def main() -> None:
    results = read()
    if not results:
        raise UserError(f"{RESULTS}: holds no results; `make study` makes them")
    rows = read_rows(SCREEN)
    files.write(README, readme(results, rows).encode())
    files.write(RECIPES, document(rows).encode())
    files.write(PLOT, picture(results))
    files.write_json(SUMMARIES, summaries(results))


if __name__ == "__main__":
    exit_with(main)
