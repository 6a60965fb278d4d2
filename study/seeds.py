"""Train many seeds at once, and keep a row for each as soon as it is done."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import ray
from ray.exceptions import RayError, RayTaskError
from tqdm import tqdm

from digits.core import files
from digits.core.config import Config
from digits.core.errors import UserError
from digits.core.split import Split
from study.one_seed import (
    COLUMNS,
    Row,
    computer,
    encode_rows,
    fingerprint,
    read_all_rows,
    train_seed,
    with_training,
)

ROOT = Path(__file__).parent.parent
LOCK = ROOT / ".dvc/tmp/study"  # one study at a time; stages may run beside it
NOT_SHIPPED = ["/*", "!/.", "!/digits", "!/study"]  # to a cluster: all but the tasks' code
RETRIES = 5  # of a seed whose worker or node died
GPU_SHARE = 0.25  # of one, for a seed
CONNECT, ANSWER = 10, 20  # seconds, to the address of a cluster
PATIENCE = 5  # seconds, after which to look for nodes that have joined


class Study:
    """The rows of some recipes, in a table that is written whole after every seed.

    A row counts only if its fingerprint matches its recipe, the data and this code. Others are
    marked and stay in the table: they count again when the fingerprint does, and only a user
    deletes them. There is one writer at a time, the holder of LOCK.
    """

    def __init__(
        self, recipes: Mapping[str, Config], train: Split, scored: Split, table: Path
    ) -> None:
        """Read the rows that are there, and take the fingerprints.

        Args:
            recipes: by name; `train.seed` is replaced by the seeds.
            train: the images to train on.
            scored: the images to score, once, after the last epoch.
            table: a CSV file as in study/one_seed.py; made if there is none.

        Raises:
            UserError: the table is damaged, a recipe leaves its device open, or it cannot be
                trained.
        """
        self._recipes, self._train, self._scored, self._table = recipes, train, scored, table
        rows = read_all_rows(table)
        self._keys = {name: self._fingerprint(name) for name in recipes}
        counts = rows["fingerprint"] == [self._keys.get(name) for name in rows["recipe"]]
        self._rows, self._outdated = rows.loc[counts], rows.loc[~counts]

    def rows(self, seeds: Sequence[int], names: Sequence[str] = ()) -> pd.DataFrame:
        """The rows of these seeds of these recipes, or of all; those missing are trained.

        Raises:
            UserError: see `in_parallel`.
        """
        names = names or list(self._recipes)
        done = set(zip(self._rows["recipe"], self._rows["seed"], strict=True))
        asked = [(name, seed) for seed in seeds for name in names]
        missing = [each for each in asked if each not in done]
        jobs = [(name, with_training(self._recipes[name], seed=seed)) for name, seed in missing]
        bar = tqdm(total=len(asked), initial=len(asked) - len(jobs), unit="seed", disable=None)
        with bar:
            for row in in_parallel(jobs, self._train, self._scored, bar.set_postfix_str):
                self._add(row)
                bar.update()
        self._write()  # which rows count may have changed without a new one
        rows = self._rows
        return rows.loc[rows["seed"].isin(seeds) & rows["recipe"].isin(names)]

    def _fingerprint(self, name: str) -> str:
        try:
            return fingerprint(self._recipes[name], self._train, self._scored)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None

    def _add(self, row: Row) -> None:
        values = {**row, "fingerprint": self._keys[str(row["recipe"])]}
        new = pd.DataFrame([values], columns=COLUMNS)
        rows = pd.concat([self._rows, new] if len(self._rows) else [new])
        self._rows = rows.sort_values(by=["recipe", "seed"], ignore_index=True)
        self._write()

    def _write(self) -> None:
        content = encode_rows(self._rows, self._outdated)
        if not self._table.is_file() or self._table.read_bytes() != content:
            files.write(self._table, content)


def in_parallel(
    jobs: Sequence[tuple[str, Config]],
    train: Split,
    scored: Split,
    show: Callable[[str], object] = lambda running: None,
    cores: int | None = None,
) -> Iterator[Row]:
    """The rows of the jobs, as they finish: one core each, here or on the cluster of RAY_ADDRESS.

    A task whose worker or node dies is started again elsewhere. Four seeds of a recipe for a GPU
    share one. `show` is told what is running. `cores` limits the cores of this machine; a cluster
    knows its own.

    Raises:
        UserError: raised by a task, or Ray cannot use the cluster.
    """
    if not jobs:
        return
    try:
        _start_ray(cores)
        task = ray.remote(max_retries=RETRIES)(train_seed)
        splits = ray.put(train), ray.put(scored)
        gpu = GPU_SHARE if ray.cluster_resources().get("GPU") else 0
        running: dict[Any, str] = {}  # a task for each core, so that it is known what runs
        waiting = list(reversed(jobs))
        while running or waiting:
            while waiting and len(running) < max(1, ray.cluster_resources().get("CPU", 0)):
                name, recipe = waiting.pop()
                share = gpu if recipe.train.device == "cuda" else 0
                arguments = name, recipe, *splits, computer(recipe.train.device)
                started = task.options(num_gpus=share).remote(*arguments)
                running[started] = f"{name} {recipe.train.seed}"
            show("training " + ", ".join(running.values()))
            for done in ray.wait(list(running), timeout=PATIENCE)[0]:
                yield _row(done, running.pop(done))
    except RayTaskError:
        raise
    except RayError as error:
        raise UserError(f"Ray: {' '.join(str(error).split())}") from None
    finally:
        ray.shutdown()


def _start_ray(cores: int | None) -> None:
    """Start Ray, or join the cluster of RAY_ADDRESS.

    Raises:
        UserError: Ray does not start, or no cluster answers at this address.
    """
    address = os.environ.get("RAY_ADDRESS") or "local"  # else Ray joins the cluster it used last
    where = "Ray does not start" if address == "local" else f"RAY_ADDRESS is {address!r}"
    try:
        if address not in ("auto", "local"):  # Ray itself asks a dead address for two minutes
            end = urlsplit(address if "://" in address else f"//{address}")
            socket.create_connection((end.hostname or "", end.port or 0), CONNECT).close()
            if "://" not in address:
                _check_health(address)
        ray.init(
            address,
            num_cpus=cores,
            runtime_env={"working_dir": str(ROOT), "excludes": NOT_SHIPPED},
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except RayError:
        raise
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"{where}: {' '.join(str(error).split())}") from None


def _check_health(address: str) -> None:
    """Refuse an address where something else than Ray answers, which `ray.init` waits on for long.

    Raises:
        OSError: it does.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        subprocess.run(command, capture_output=True, timeout=ANSWER)
    except subprocess.TimeoutExpired:
        raise OSError("something answers there, but no Ray") from None


def _row(done: Any, name: str) -> Row:
    """What a task returned; what is wrong with its recipe is said with its name."""
    try:
        return ray.get(done)
    except RayTaskError as error:
        if isinstance(error, UserError):
            raise UserError(f"{name}: {error.cause}") from None
        raise
