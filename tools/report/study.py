"""The plots of the study: every seed of each recipe, and accuracy against parameters."""

import csv
from pathlib import Path
from typing import Any

from digits.core import files
from stages import paths
from study.pictures import PROMISE
from tools.report.results import Spec

PUBLISHED = Path(__file__).parents[2] / "study/published.csv"
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
    """Both plots as Vega-Lite, their rows in percent; empty if no study has run."""
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
    return {"seeds": _seeds(seeds, means, best_first), "frontier": _frontier(means)}


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
        "height": 460,  # keeps the names of close neighbours apart
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
            {
                "data": {"values": means},
                "mark": {"type": "text", "style": "count", "align": "right", "dx": -8, "dy": -6},
                "encoding": {"text": {"field": "recipe"}},
            },
        ],
    }


def _mean(means: list[dict[str, Any]], axis: str) -> list[Spec]:
    """The layers of means and their intervals along an axis."""
    low_to_high = {axis: {"field": "low", **ACCURACY}, f"{axis}2": {"field": "high"}}
    diamond = {"type": "point", "shape": "diamond", "filled": True, "size": 90, "opacity": 1}
    return [
        {"data": {"values": means}, "mark": {"type": "rule", "style": "interval"}}
        | {"encoding": low_to_high},
        {"data": {"values": means}, "mark": diamond | {"tooltip": True}},
    ]
