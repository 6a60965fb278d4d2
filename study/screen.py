"""Try changes to recipes on held-out training images: `python -m study.screen`.

Reads `screen` of study/params.yaml, the recipes that it names and, of data/raw/, only the
training files. Writes a row to metrics/study/screen.csv as soon as a seed is done; seeds that
have one are not trained again. Runs on this machine's cores, or on the Ray cluster that
RAY_ADDRESS names.
"""

import os
from pathlib import Path

from stages import preprocess
from stages.lib.alone import run_stage
from stages.lib.parameters import Preprocess
from study import plan
from study.seeds import CLAIM, ROOT, study

TABLE = Path("metrics/study/screen.csv")


def main() -> None:
    os.chdir(ROOT)
    chosen = plan.read().screen
    recipes = plan.variants(chosen)

    held_out = Preprocess(validation_size=chosen.validation_size, seed=0)
    training, validation = preprocess.training_splits(held_out)

    study(recipes, range(chosen.seeds), training, validation, TABLE)


if __name__ == "__main__":
    run_stage(main, CLAIM)
