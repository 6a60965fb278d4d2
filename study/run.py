"""Train the seeds that a recipe's table lacks: `python -m study.run [RECIPE ...]`.

Reads recipes/RECIPE.yaml, all for published data unless some are named, the data and `seeds` of
study/params.yaml. Scores the last epoch of each seed on the test split. Writes a row to
metrics/study/seeds/RECIPE.csv as soon as a seed is done, and at the end the summary,
metrics/study/RECIPE.json. Runs on this machine's cores, or on the Ray cluster that RAY_ADDRESS
names.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from scipy import stats

from digits.core import config, files
from digits.core.config import Config
from digits.core.data_shape import MNIST, DataShape
from digits.core.errors import exit_with
from digits.core.stage_lock import stage_lock
from digits.network.digitnet import check_budget, parameter_count
from digits.sources import preprocess
from stages import paths
from study import plan
from study.seeds import LOCK, ROOT, Study


def summary(
    rows: pd.DataFrame, recipe: Config, images: int, shape: DataShape = MNIST
) -> dict[str, object]:
    """Statistics over the seeds; `mean_low` to `mean_high` is Student's 95 % interval."""
    accuracy = rows["accuracy"].astype(float)
    low, high = stats.t.interval(0.95, len(rows) - 1, accuracy.mean(), accuracy.sem())
    return {
        "n": len(rows),
        "mean": accuracy.mean(),
        "sd": accuracy.std(),
        "mean_low": float(low),
        "mean_high": float(high),
        "min": accuracy.min(),
        "max": accuracy.max(),
        "parameters": parameter_count(recipe.model, shape),
        "epochs": recipe.train.epochs,
        "images": images,
        "accuracies": dict(zip(rows["seed"].astype(str), accuracy.tolist(), strict=True)),
    }


def run(name: str, recipe: Config, seeds: Sequence[int]) -> None:
    """Train the seeds that the table of one recipe lacks, and sum it up."""
    prepared = preprocess.prepare(recipe, paths.RAW, paths.PICTURES)
    train, test = prepared.train, prepared.test
    check_budget(recipe.model, str(paths.RECIPES / f"{name}.yaml"), train.shape)

    rows = Study({name: recipe}, train, test, Path(f"metrics/study/seeds/{name}.csv")).rows(seeds)

    files.write_json(
        Path(f"metrics/study/{name}.json"), summary(rows, recipe, len(train), train.shape)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="files of recipes/, without .yaml; else all")
    names = parser.parse_args().names

    os.chdir(ROOT)
    seeds = range(plan.read().seeds)
    named = {name: config.read(paths.RECIPES / f"{name}.yaml") for name in sorted(names)}
    recipes = named or plan.published()
    plan.check_data(paths.RAW, recipes.values())
    with stage_lock(LOCK, "study.run"):
        for name, recipe in recipes.items():
            run(name, recipe, seeds)


if __name__ == "__main__":
    exit_with(main)
