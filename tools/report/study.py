"""The plots of the study: the seeds of each recipe, and accuracy against parameters and time."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.core import files
from stages import paths
from study.pictures import PLAIN, PROMISE, is_crowded
from tools.report.results import Spec

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "study/published.csv"
TIMES = ROOT / "tools/benchmarks/times.csv"
ACCURACY = {
    "type": "quantitative",
    "title": "Test accuracy, %",
    "scale": {"zero": False},
    "axis": {"labelFlush": False, "tickCount": 6},
}
PROMISED: Spec = {
    "data": {"values": [{"promise": PROMISE}]},
    "mark": {"type": "rule", "color": "#d55e00", "strokeDash": [4, 4]},
}


def plots() -> dict[str, Spec]:
    """Three plots as Vega-Lite, their rows in percent; empty if no study has run."""
    folder = paths.STUDY.parent / "study"
    results = {path.stem: files.read_json(path) for path in folder.glob("*.json")}
    if not results:
        return {}
    best_first = sorted(results, key=lambda name: -results[name]["mean"])
    seeds = [
        {"recipe": name, "seed": int(seed), "accuracy": round(100 * accuracy, 3)}
        for name in best_first
        for seed, accuracy in results[name]["accuracies"].items()
    ]
    means = [
        {"recipe": name, "parameters": results[name]["parameters"]}
        | {
            column: round(100 * results[name][key], 3)
            for column, key in (("accuracy", "mean"), ("low", "mean_low"), ("high", "mean_high"))
        }
        for name in best_first
    ]
    return {
        "seeds": _seeds(seeds, means, best_first),
        "frontier": _frontier(means),
        "seconds": _seconds(means),
    }


def _seeds(seeds: list[dict[str, Any]], means: list[dict[str, Any]], order: list[str]) -> Spec:
    """A row for each recipe, a dot for each seed, a diamond for their mean."""
    return {
        "data": {"values": seeds},
        "width": 440,
        "height": 56 * len(order),
        "encoding": {
            "x": {"field": "accuracy", **ACCURACY},
            "y": {"field": "recipe", "type": "nominal", "sort": order, "title": None},
        },
        "layer": [
            PROMISED | {"encoding": {"x": {"field": "promise"}, "y": None}},
            {
                "mark": {"type": "circle", "size": 22, "tooltip": True},
                "encoding": {
                    "yOffset": {"field": "seed", "type": "quantitative"},
                    "color": {"value": "#8a929c"},
                },
            },
            *_mean(means, "x"),
        ],
    }


def _frontier(means: list[dict[str, Any]]) -> Spec:
    """Accuracy against parameters, ours named and in colour, those of others as outlines."""
    with PUBLISHED.open() as file:
        rows = [
            {"name": row["kind"], "parameters": int(row["parameters"])}
            | {"accuracy": float(row["accuracy"])}
            for row in csv.DictReader(file)
        ]
    rows += [
        {"name": mean["recipe"], "parameters": mean["parameters"], "accuracy": mean["accuracy"]}
        for mean in means
    ]
    ours = [mean["recipe"] for mean in means]
    return {
        "data": {"values": rows},
        "width": 440,
        "height": 460,
        "encoding": {
            "x": {
                "field": "parameters",
                "type": "quantitative",
                "title": "Parameters (log scale)",
                "scale": {"type": "log", "domain": [600, 25_000]},
                "axis": {"values": [700, 1000, 2000, 5000, 10_000, 20_000], "grid": False},
            },
            "y": {"field": "accuracy", **ACCURACY},
        },
        "layer": [
            PROMISED | {"encoding": {"y": {"field": "promise"}, "x": None}},
            {
                "transform": [{"filter": {"not": {"field": "name", "oneOf": ours}}}],
                "mark": {"type": "point", "color": "#8a929c", "tooltip": True},
            },
            *_mean(means, "y"),
            *_names(means, {mean["recipe"]: mean["parameters"] for mean in means}),
        ],
    }


def _seconds(means: list[dict[str, Any]]) -> Spec:
    """Accuracy against seconds of training, and how long the plain script takes for one epoch."""
    with TIMES.open() as file:
        seconds = {row["arm"]: float(row["median"]) for row in csv.DictReader(file)}
    timed = [
        mean | {"seconds": seconds[mean["recipe"]]} for mean in means if mean["recipe"] in seconds
    ]
    return {
        "data": {"values": [{"seconds": seconds[PLAIN], "name": PLAIN}]},
        "width": 440,
        "height": 300,
        "encoding": {
            "x": {
                "field": "seconds",
                "type": "quantitative",
                "title": "Seconds of training (log scale)",
                "scale": {"type": "log", "nice": False, "padding": 40},
                "axis": {"values": [5, 10, 20, 50, 100, 200, 500, 1000], "grid": False},
            },
            "y": {"field": "accuracy", **ACCURACY},
        },
        "layer": [
            PROMISED | {"encoding": {"y": {"field": "promise"}, "x": None}},
            {
                "mark": {"type": "rule", "style": "interval", "strokeDash": [2, 3]},
                "encoding": {"y": None},
            },
            {
                "mark": {"type": "text", "style": "count", "align": "left", "dx": 4},
                "encoding": {"text": {"field": "name"}, "y": {"value": 8}},
            },
            *_mean(timed, "y"),
            *_names(timed, seconds),
        ],
    }


def _names(means: list[dict[str, Any]], x: Mapping[str, float]) -> list[Spec]:
    """The recipes' names to the right of their diamonds, to the left where it is crowded."""
    accuracies = {mean["recipe"]: mean["accuracy"] for mean in means}
    crowded = [mean for mean in means if is_crowded(mean["recipe"], accuracies, x)]
    sides = (
        ("left", 8, [mean for mean in means if mean not in crowded]),
        ("right", -8, crowded),
    )
    return [
        {
            "data": {"values": values},
            "mark": {"type": "text", "style": "count", "align": align, "dx": dx, "dy": -6},
            "encoding": {"text": {"field": "recipe"}},
        }
        for align, dx, values in sides
    ]


def _mean(means: list[dict[str, Any]], axis: str) -> list[Spec]:
    """The layers of means and their intervals along an axis."""
    low_to_high = {axis: {"field": "low", **ACCURACY}, f"{axis}2": {"field": "high"}}
    diamond = {"type": "point", "shape": "diamond", "filled": True, "size": 90, "opacity": 1}
    return [
        {"data": {"values": means}, "mark": {"type": "rule", "style": "interval"}}
        | {"encoding": low_to_high},
        {"data": {"values": means}, "mark": diamond | {"tooltip": True}},
    ]
