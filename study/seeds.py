"""Train many seeds at once, and keep a row for each as soon as it is done."""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import ray
from ray.exceptions import RayTaskError
from tqdm import tqdm

from stages.lib import files, fused, model
from stages.lib.errors import UserError
from stages.lib.parameters import Parameters
from stages.lib.scores import score
from stages.lib.splits import Split
from stages.train import train_recipe
from study.identity import first, identity, with_seed

ROOT = Path(__file__).parent.parent
NOT_SHIPPED = [".git", ".venv", ".dvc", "checkpoints", "data", "models", "metrics", "plots"]
RETRIES = 5  # of a seed whose worker or node died
GPU_SHARE = 0.25  # of one, for a seed
COLUMNS = [
    "recipe", "seed", "accuracy", "loss", "train_accuracy", "train_loss", "threads", "model_md5",
    "identity",
]  # fmt: skip

Row = dict[str, float | int | str | None]


def study(
    recipes: Mapping[str, Parameters],
    seeds: Sequence[int],
    training: Split,
    scored: Split,
    table: Path,
) -> pd.DataFrame:
    """The rows of all seeds of all recipes; those that `table` lacks are trained.

    A row counts only if its identity is that of its recipe, the data and this code; others are
    dropped. The table is written whole after every seed.

    Args:
        recipes: by name; `train.seed` is replaced by the seeds.
        seeds: the same for all.
        training: what to train on.
        scored: what to score on, once, after the last epoch.
        table: a CSV file with COLUMNS; made if there is none.
    """
    keys = {name: identity(recipe, training, scored) for name, recipe in recipes.items()}
    rows = read_rows(table)
    expected = [keys.get(name) for name in rows["recipe"]]
    rows = rows.loc[(rows["identity"] == expected) & rows["seed"].isin(seeds)]
    done = set(zip(rows["recipe"], rows["seed"], strict=True))
    missing = [(name, seed) for seed in seeds for name in recipes if (name, seed) not in done]
    jobs = [(name, with_seed(recipes[name], seed)) for name, seed in missing]
    bar = tqdm(total=len(seeds) * len(recipes), initial=len(done), unit="seed", disable=None)
    with bar:
        for row in in_parallel(jobs, training, scored):
            new = pd.DataFrame([{**row, "identity": keys[str(row["recipe"])]}], columns=COLUMNS)
            rows = pd.concat([rows, new] if len(rows) else [new])
            rows = rows.sort_values(by=["recipe", "seed"], ignore_index=True)
            files.write(table, rows.to_csv(index=False).encode())
            bar.update()
    return rows


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
    jobs: Sequence[tuple[str, Parameters]], training: Split, scored: Split
) -> Iterator[Row]:
    """The rows of the jobs, as they come: one core each, here or on the cluster of RAY_ADDRESS.

    A task whose worker or node dies is started again somewhere else. Where there are GPUs, four
    seeds of a recipe that does not ask for the processor share one.
    """
    if not jobs:
        return
    ray.init(
        os.environ.get("RAY_ADDRESS", "local"),  # else Ray joins whatever it was last told of
        runtime_env={"working_dir": str(ROOT), "excludes": NOT_SHIPPED},
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        task = ray.remote(max_retries=RETRIES)(train_seed)
        splits = ray.put(training), ray.put(scored)
        gpu = GPU_SHARE if ray.cluster_resources().get("GPU") else 0
        waiting = [
            task.options(num_gpus=0 if recipe.train.device == "cpu" else gpu).remote(
                name, recipe, *splits
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
    finally:
        ray.shutdown()


def train_seed(name: str, recipe: Parameters, training: Split, scored: Split) -> Row:
    """Train as the train stage does, and score the last epoch: the row, without its identity."""
    device = model.pick_device(recipe.train.device)
    training, scored = training.to(device), scored.to(device)
    network, history = train_recipe(recipe, training, first(training, 0))
    scores = score(model.predict(network, scored.images, scored.normalisation), scored.labels)
    last = {key: history[-1][key] for key in ("train_accuracy", "train_loss")}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path, network, training.normalisation)
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()  # as in dvc.lock
    return {
        "recipe": name, "seed": recipe.train.seed, **scores, **last,
        "threads": fused.THREADS, "model_md5": md5,
    }  # fmt: skip
