"""Train the seeds that a recipe's table lacks: `python -m study.run RECIPE`.

Reads recipes/RECIPE.yaml, data/raw/ and `seeds` of study/params.yaml. Scores the last epoch of
each seed on the test split. Writes a row to metrics/study/seeds/RECIPE.csv as soon as a seed is
done, and at the end the summary, metrics/study/RECIPE.json. Runs on this machine's cores, or on
the Ray cluster that RAY_ADDRESS names.
"""

import argparse
import os
from pathlib import Path

import pandas as pd
from scipy import stats

from stages import preprocess
from stages.lib import files, model, parameters
from stages.lib.alone import run_stage
from stages.lib.parameters import Parameters
from study import plan
from study.seeds import CLAIM, ROOT, study


def summary(rows: pd.DataFrame, recipe: Parameters, images: int) -> dict[str, object]:
    """What the seeds have in common; `mean_low` to `mean_high` is Student's 95 % of the mean."""
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
        "parameters": model.parameter_count(recipe.model),
        "epochs": recipe.train.epochs,
        "images": images,
        "accuracies": dict(zip(rows["seed"].astype(str), accuracy.tolist(), strict=True)),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", help="a file of recipes/, without .yaml")
    return parser.parse_args()


def main(name: str) -> None:
    os.chdir(ROOT)
    seeds = range(plan.read().seeds)
    recipe = parameters.read(Path(f"recipes/{name}.yaml"))
    model.check_budget(recipe.model)

    training, _ = preprocess.training_splits(recipe.preprocess)
    test = preprocess.testing_split(training.normalisation)

    rows = study({name: recipe}, seeds, training, test, Path(f"metrics/study/seeds/{name}.csv"))

    result = summary(rows, recipe, len(training))
    files.write_json(Path(f"metrics/study/{name}.json"), result)


if __name__ == "__main__":
    chosen = arguments()
    run_stage(lambda: main(chosen.recipe), CLAIM)
