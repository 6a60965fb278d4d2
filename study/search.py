"""Search values for a recipe by successive halving: `python -m study.search [NAME ...]`.

Reads `search.NAME` of study/params.yaml, for all names unless some are given, the recipe that it
starts from and, of data/raw/, only the training files. All candidates are trained with one seed,
the better half of them with two, the better half of those with four, and so on. What is better is
told by the mean loss of the held-out images, which varies less between seeds than their accuracy.
Writes a row to metrics/study/search/NAME.csv as soon as a seed is done; seeds that have one are
not trained again. Runs on this machine's cores, or on the Ray cluster that RAY_ADDRESS names.
"""

import argparse
import os
import statistics
from pathlib import Path

import pandas as pd

from digits.core.errors import UserError, exit_with
from digits.core.stage_lock import stage_lock
from digits.sources import catalog, preprocess
from stages import paths
from study import plan
from study.plan import Search
from study.seeds import LOCK, ROOT, Study


def halve(study: Study, rounds: int) -> dict[str, float]:
    """The mean loss of every candidate of the last round, the best first."""
    means = mean_losses(study.rows([0]))
    for number in range(1, rounds):
        better = list(means)[: max(1, len(means) // 2)]
        means = mean_losses(study.rows(range(2**number), better))
    return means


def mean_losses(rows: pd.DataFrame) -> dict[str, float]:
    """The mean loss of every candidate, lowest first."""
    groups = {str(name): group["loss"] for name, group in rows.groupby("recipe")}
    means = {name: statistics.mean(losses) for name, losses in groups.items()}
    return dict(sorted(means.items(), key=lambda item: item[1]))


def run(name: str, search: Search) -> None:
    """Train what one search lacks, and print the candidates of its last round."""
    recipes = plan.candidates(search)
    plan.check_data(paths.RAW, recipes.values(), catalog.NAMES[:2])
    first = next(iter(recipes.values()))  # all hold out the same images
    train, validation = preprocess.training_splits(first, paths.RAW, paths.PICTURES)

    study = Study(recipes, train, validation, Path(f"metrics/study/search/{name}.csv"))
    for candidate, loss in halve(study, search.rounds).items():
        print(f"{loss:.4f}  {candidate}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="keys of `search` in study/params.yaml; else all")
    names = parser.parse_args().names

    os.chdir(ROOT)
    searches = plan.read().search
    for name in names:
        if name not in searches:
            known = ", ".join(searches)
            raise UserError(f"{plan.PATH}: search.{name}: no such key; it has {known}")
    with stage_lock(LOCK, "study.search"):
        for name in names or searches:
            run(name, searches[name])


if __name__ == "__main__":
    exit_with(main)
