"""Put the recipes side by side: `python -m study.report`.

Reads metrics/study/*.json, metrics/study/screen.csv, metrics/study/search/, study/params.yaml,
study/published.csv, tools/benchmarks/times.csv and recipes/. Writes tables between markers of
README.md, docs/results.md and docs/recipes.md, the plots study.png, frontier.png and seconds.png of
plots/, and metrics/study.json: the summaries without the seeds, which the model card reads.
"""

import statistics
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from digits.core import config, files
from digits.core.errors import UserError, exit_with
from digits.network.digitnet import parameter_count
from digits.reporting.tables import markdown
from stages import paths
from study import plan
from study.compare import difference
from study.one_seed import read_rows
from study.pictures import Summaries, by_seconds, frontier, picture
from study.seeds import ROOT

RESULTS = ROOT / "metrics/study"
SCREEN = RESULTS / "screen.csv"
SUMMARIES = ROOT / paths.STUDY
README = ROOT / "README.md"
RESULTS_PAGE = ROOT / "docs/results.md"
RECIPES = ROOT / "docs/recipes.md"
PUBLISHED = ROOT / "study/published.csv"
TIMES = ROOT / "tools/benchmarks/times.csv"
SHOWN = 8  # candidates of a search
BEGIN, END = "<!-- begin: python -m study.report -->", "<!-- end -->"
BEGIN_SEARCHES = "<!-- begin: searches, by python -m study.report -->"
BEGIN_DEPARTURES = "<!-- begin: departures, by python -m study.report -->"


def read() -> Summaries:
    """The summaries by recipe, lowest mean first."""
    results = {path.stem: files.read_json(path) for path in RESULTS.glob("*.json")}
    return dict(sorted(results.items(), key=lambda item: item[1]["mean"]))


def summaries(results: Summaries) -> Summaries:
    """The same without the accuracy of each seed."""
    return {
        name: {key: value for key, value in result.items() if key != "accuracies"}
        for name, result in results.items()
    }


def recipe_table(results: Summaries) -> str:
    """A Markdown table, one recipe a row; accuracies in percent."""
    header = [
        "recipe", "parameters", "epochs", "trained on", "seeds", "mean test accuracy, %",
        "95 % interval of the mean", "sd", "lowest to highest seed",
    ]  # fmt: skip
    rows: list[list[str]] = []
    for name, result in results.items():
        mean, low, high, sd = (
            f"{100 * result[key]:.3f}" for key in ("mean", "mean_low", "mean_high", "sd")
        )
        numbers = [f"{result[key]:,}" for key in ("parameters", "epochs", "images", "n")]
        extremes = f"{100 * result['min']:.2f} to {100 * result['max']:.2f}"
        link = f"[`{name}`](recipes/{name}.yaml)"
        rows.append([link, *numbers, f"**{mean}**", f"{low} to {high}", sd, extremes])
    return markdown(header, rows)


def screen_table(rows: pd.DataFrame) -> str:
    """A Markdown table, one variant a row, each compared with the recipe that it changes."""
    if not len(rows):
        return "No rows yet: `python -m study.screen` has not run."
    header = [
        "recipe and what is changed in it", "seeds", "validation accuracy, %",
        "difference, points (95 % interval)", "validation loss", "training accuracy, %",
    ]  # fmt: skip
    accuracies = accuracies_of(rows)
    lines: list[list[str]] = []
    for name, group in rows.groupby("recipe"):
        recipe, _, change = str(name).partition(": ")
        cell, against = f"`{recipe}`", ""
        if change:
            cell = f"{cell}: `{change}`"
            gap, low, high = difference(accuracies[recipe], accuracies[str(name)])
            against = f"{gap:+.3f} ({low:+.3f} to {high:+.3f})"
        means = group[["accuracy", "loss", "train_accuracy"]].mean()
        accuracy, train_accuracy = (100 * means[key] for key in ("accuracy", "train_accuracy"))
        numbers = [f"{accuracy:.3f}", against, f"{means['loss']:.4f}", f"{train_accuracy:.2f}"]
        lines.append([cell, str(len(group)), *numbers])
    return markdown(header, lines)


def search_tables() -> str:
    """A Markdown table for each search, of SHOWN candidates: most seeds first, then least loss.

    Raises:
        UserError: see `plan.candidates`.
    """
    header = ["change", "parameters", "seeds", "validation accuracy, %", "validation loss"]
    tables: list[str] = []
    for name, search in plan.read(ROOT / plan.PATH).search.items():
        recipes = plan.candidates(search)
        lines: list[tuple[int, float, list[str]]] = []
        for label, group in read_rows(RESULTS / f"search/{name}.csv").groupby("recipe"):
            accuracy, loss = (statistics.mean(group[key]) for key in ("accuracy", "loss"))
            cells = [
                f"`{str(label).removeprefix(f'{search.base}: ')}`",
                f"{parameter_count(recipes[str(label)].model):,}",
                f"{len(group)}",
                f"{100 * accuracy:.3f}",
                f"{loss:.4f}",
            ]
            lines.append((-len(group), loss, cells))
        shown = [cells for *_, cells in sorted(lines)][:SHOWN]
        tables.append(
            f"### `{name}`, from `{search.base}`\n\n{markdown(header, shown)}\n\n{len(shown)} of "
            f"{len(lines)} candidates; [all](../metrics/study/search/{name}.csv)."
        )
    return "\n\n".join(tables)


def departures(rows: pd.DataFrame) -> str:
    """A Markdown table of where `tuned` departs from `described`, and what each change is worth.

    Args:
        rows: of the screening; a change counts if it restores the described values.
    """
    described, tuned = (
        config.read(ROOT / f"recipes/{name}.yaml").model_dump() for name in ("described", "tuned")
    )
    accuracies = accuracies_of(rows)
    lines: list[tuple[float, list[str]]] = []
    for change in plan.read(ROOT / plan.PATH).screen.changes["tuned"]:
        keys = {name: name.split(".") for name in change}
        restores = all(described[keys[n][0]][keys[n][1]] == value for n, value in change.items())
        label = plan.label("tuned", change)
        if not restores or label not in accuracies:
            continue
        cell = ", ".join(
            f"`{name}` {as_yaml(described[section][key])} → {as_yaml(tuned[section][key])}"
            for name, (section, key) in keys.items()
        )
        gap, low, high = difference(accuracies[label], accuracies["tuned"])
        lines.append((gap, [cell, f"{gap:+.3f}", f"{low:+.3f} to {high:+.3f}"]))
    header = ["departure, described → tuned", "worth, points", "95 % interval"]
    return markdown(header, (line for _, line in sorted(lines, reverse=True)))


def accuracies_of(rows: pd.DataFrame) -> dict[str, dict[int, float]]:
    """The accuracy of every seed in percent, by recipe."""
    return {
        str(name): dict(zip(group["seed"], 100 * group["accuracy"], strict=True))
        for name, group in rows.groupby("recipe")
    }


def as_yaml(value: object) -> str:
    """A value as it is written in parameter files."""
    return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)


def insert(path: Path, tables: Mapping[str, str]) -> str:
    """The text of the file with each table between its marker and END.

    Raises:
        UserError: a marker is missing.
    """
    text = path.read_text()
    for begin, table in tables.items():
        before, begun, rest = text.partition(begin)
        _, end, after = rest.partition(END)
        if not begun or not end:
            raise UserError(f"{path}: expected the lines {begin!r} and {END!r} around a table")
        text = f"{before}{begin}\n\n{table}\n\n{END}{after}"
    return text


def documents(results: Summaries, rows: pd.DataFrame) -> dict[Path, str]:
    """The text of every page that holds a generated table."""
    return {
        README: insert(README, {BEGIN: recipe_table(results)}),
        RESULTS_PAGE: insert(RESULTS_PAGE, {BEGIN_DEPARTURES: departures(rows)}),
        RECIPES: insert(RECIPES, {BEGIN: screen_table(rows), BEGIN_SEARCHES: search_tables()}),
    }


def pictures(results: Summaries) -> dict[Path, bytes]:
    """The PNG files of plots/."""
    return {
        ROOT / "plots/study.png": picture(results),
        ROOT / "plots/frontier.png": frontier(results, pd.read_csv(PUBLISHED)),
        ROOT / "plots/seconds.png": by_seconds(results, pd.read_csv(TIMES)),
    }


def main() -> None:
    results = read()
    if not results:
        raise UserError(f"{RESULTS}: holds no results; `make study` makes them")
    rows = read_rows(SCREEN)
    for path, text in documents(results, rows).items():
        files.write(path, text.encode())
    for path, content in pictures(results).items():
        files.write(path, content)
    files.write_json(SUMMARIES, summaries(results))


if __name__ == "__main__":
    exit_with(main)
