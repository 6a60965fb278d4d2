"""Try changes to recipes on held-out training images: `python -m study.screen`.

Reads `screen` of study/params.yaml, the recipes that it names and, of data/raw/, only the
training files. Writes a row to metrics/study/screen.csv as soon as a seed is done; seeds that
have one are not trained again. Runs on this machine's cores, or on the Ray cluster that
RAY_ADDRESS names.
"""

import os
from pathlib import Path

from digits.core.entry_point import run_stage
from digits.sources import catalog, preprocess
from stages import paths
from study import plan
from study.seeds import LOCK, ROOT, Study

TABLE = Path("metrics/study/screen.csv")


def main() -> None:
    os.chdir(ROOT)
    screen = plan.read().screen
    recipes = plan.variants(screen)

    plan.check_data(paths.RAW, recipes.values(), catalog.NAMES[:2])
    first = next(iter(recipes.values()))  # all hold out the same images
    train, validation = preprocess.training_splits(first, paths.RAW, paths.PICTURES)

    Study(recipes, train, validation, TABLE).rows(range(screen.seeds))


if __name__ == "__main__":
    run_stage(main, LOCK)
