"""Train many seeds at once, and keep a row for each as soon as it is done."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import ray
from ray.exceptions import RayError, RayTaskError
from tqdm import tqdm

from digits.core import files
from digits.core.config import Config
from digits.core.errors import UserError
from digits.core.split import Split
from study.one_seed import Row, computer, fingerprint, train_seed, with_training

ROOT = Path(__file__).parent.parent
LOCK = ROOT / ".dvc/tmp/study"  # one study at a time; stages may run beside it
NOT_SHIPPED = ["/*", "!/.", "!/digits", "!/study"]  # to a cluster: all but the tasks' code
RETRIES = 5  # of a seed whose worker or node died
GPU_SHARE = 0.25  # of one, for a seed
COLUMNS = [
    "recipe", "seed", "accuracy", "loss", "train_accuracy", "train_loss", "model_md5", "fingerprint"
]  # fmt: skip


def study(
    recipes: Mapping[str, Config],
    seeds: Sequence[int],
    train: Split,
    scored: Split,
    table: Path,
) -> pd.DataFrame:
    """The rows of all seeds of all recipes; the seeds missing from `table` are trained.

    A row counts only if its fingerprint matches its recipe, the data and this code; others are
    dropped. The table is written whole after every seed; seeds that are not asked for stay in it.
    There is one writer at a time, the holder of LOCK.

    Args:
        recipes: by name; `train.seed` is replaced by the seeds.
        seeds: the same for all.
        train: the images to train on.
        scored: the images to score, once, after the last epoch.
        table: a CSV file with COLUMNS; made if there is none.

    Raises:
        UserError: the table has other columns, a recipe leaves its device open, or see
            `in_parallel`.
    """
    keys = {name: fingerprint(recipe, train, scored) for name, recipe in recipes.items()}
    rows = read_rows(table)
    rows = rows.loc[rows["fingerprint"] == [keys.get(name) for name in rows["recipe"]]]
    done = set(zip(rows["recipe"], rows["seed"], strict=True))
    asked = [(name, seed) for seed in seeds for name in recipes]
    missing = [each for each in asked if each not in done]
    jobs = [(name, with_training(recipes[name], seed=seed)) for name, seed in missing]
    finished = len(asked) - len(missing)
    with tqdm(total=len(asked), initial=finished, unit="seed", disable=None) as bar:
        for row in in_parallel(jobs, train, scored):
            new = pd.DataFrame([{**row, "fingerprint": keys[str(row["recipe"])]}], columns=COLUMNS)
            rows = pd.concat([rows, new] if len(rows) else [new])
            rows = rows.sort_values(by=["recipe", "seed"], ignore_index=True)
            files.write(table, rows.to_csv(index=False).encode())
            bar.update()
    return rows.loc[rows["seed"].isin(seeds)]


def read_rows(table: Path) -> pd.DataFrame:
    """The rows of a table; none if there is no such file.

    Raises:
        UserError: it has other columns.
    """
    if not table.is_file():
        return pd.DataFrame(columns=COLUMNS)
    rows = pd.read_csv(table, dtype={"recipe": str, "model_md5": str, "fingerprint": str})
    if list(rows.columns) != COLUMNS:
        raise UserError(
            f"{table}: columns are {list(rows.columns)}, expected {COLUMNS}; "
            "restore it with git or delete it"
        )
    return rows


def in_parallel(
    jobs: Sequence[tuple[str, Config]],
    train: Split,
    scored: Split,
    cores: int | None = None,
) -> Iterator[Row]:
    """The rows of the jobs, as they finish: one core each, here or on the cluster of RAY_ADDRESS.

    A task whose worker or node dies is started again elsewhere. Four seeds of a recipe for a GPU
    share one. `cores` limits the cores of this machine; a cluster knows its own.

    Raises:
        UserError: raised by a task, or Ray cannot use the cluster.
    """
    if not jobs:
        return
    try:
        ray.init(
            os.environ.get("RAY_ADDRESS", "local"),  # else Ray joins the cluster it used last
            num_cpus=cores,
            runtime_env={"working_dir": str(ROOT), "excludes": NOT_SHIPPED},
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        task = ray.remote(max_retries=RETRIES)(train_seed)
        splits = ray.put(train), ray.put(scored)
        gpu = GPU_SHARE if ray.cluster_resources().get("GPU") else 0
        waiting = [
            task.options(num_gpus=gpu if recipe.train.device == "cuda" else 0).remote(
                name, recipe, *splits, computer(recipe.train.device)
            )
            for name, recipe in jobs
        ]
        while waiting:
            (done,), waiting = ray.wait(waiting)
            yield ray.get(done)
    except RayTaskError as error:
        if isinstance(error, UserError):
            raise UserError(str(error.cause)) from None
        raise
    except RayError as error:
        raise UserError(f"Ray: {' '.join(str(error).split())}") from None
    finally:
        ray.shutdown()
