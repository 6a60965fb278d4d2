"""Train many seeds at once, and keep a row for each as soon as it is done."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import ray
from ray.exceptions import RayError, RayTaskError
from tqdm import tqdm

from stages.lib import files
from stages.lib.errors import UserError
from stages.lib.parameters import Parameters
from stages.lib.splits import Split
from study.row import Row, computer, identity, train_seed, with_train

ROOT = Path(__file__).parent.parent
CLAIM = ROOT / ".dvc/tmp/study"  # one study at a time; stages may run beside it
NOT_SHIPPED = ["/*", "!/.", "!/stages", "!/study"]  # to a cluster: all but the code of the tasks
RETRIES = 5  # of a seed whose worker or node died
GPU_SHARE = 0.25  # of one, for a seed
COLUMNS = [
    "recipe", "seed", "accuracy", "loss", "train_accuracy", "train_loss", "threads", "model_md5",
    "identity",
]  # fmt: skip


def study(
    recipes: Mapping[str, Parameters],
    seeds: Sequence[int],
    training: Split,
    scored: Split,
    table: Path,
) -> pd.DataFrame:
    """The rows of all seeds of all recipes; those that `table` lacks are trained.

    A row counts only if its identity is that of its recipe, the data and this code; others are
    dropped. The table is written whole after every seed; seeds that are not asked for stay in it.
    There is one writer at a time: programs run with CLAIM.

    Args:
        recipes: by name; `train.seed` is replaced by the seeds.
        seeds: the same for all.
        training: what to train on.
        scored: what to score on, once, after the last epoch.
        table: a CSV file with COLUMNS; made if there is none.

    Raises:
        UserError: the table has other columns, a recipe leaves its device open, or as
            `in_parallel`.
    """
    keys = {name: identity(recipe, training, scored) for name, recipe in recipes.items()}
    rows = read_rows(table)
    rows = rows.loc[rows["identity"] == [keys.get(name) for name in rows["recipe"]]]
    done = set(zip(rows["recipe"], rows["seed"], strict=True))
    asked = [(name, seed) for seed in seeds for name in recipes]
    missing = [each for each in asked if each not in done]
    jobs = [(name, with_train(recipes[name], seed=seed)) for name, seed in missing]
    finished = len(asked) - len(missing)
    with tqdm(total=len(asked), initial=finished, unit="seed", disable=None) as bar:
        for row in in_parallel(jobs, training, scored):
            new = pd.DataFrame([{**row, "identity": keys[str(row["recipe"])]}], columns=COLUMNS)
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
    rows = pd.read_csv(table, dtype={"recipe": str, "model_md5": str, "identity": str})
    if list(rows.columns) != COLUMNS:
        raise UserError(
            f"{table}: columns are {list(rows.columns)}, expected {COLUMNS}; "
            "restore it with git or delete it"
        )
    return rows


def in_parallel(
    jobs: Sequence[tuple[str, Parameters]],
    training: Split,
    scored: Split,
    cores: int | None = None,
) -> Iterator[Row]:
    """The rows of the jobs, as they come: one core each, here or on the cluster of RAY_ADDRESS.

    A task whose worker or node dies is started again somewhere else. Where there are GPUs, four
    seeds of a recipe that asks for one share it. `cores` of this machine are used, or all; a
    cluster knows its own.

    Raises:
        UserError: what a task raised, or what Ray says of a cluster that cannot be used.
    """
    if not jobs:
        return
    try:
        ray.init(
            os.environ.get("RAY_ADDRESS", "local"),  # else Ray joins whatever it was last told of
            num_cpus=cores,
            runtime_env={"working_dir": str(ROOT), "excludes": NOT_SHIPPED},
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        task = ray.remote(max_retries=RETRIES)(train_seed)
        splits = ray.put(training), ray.put(scored)
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
