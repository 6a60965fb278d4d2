"""One row of a study: a recipe trained with one seed, its fingerprint, and the table it goes into.

Every value of a table is checked when it is read.
"""

import csv
import hashlib
import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pandas as pd
import torch
from pydantic import ConfigDict, Field

from digits.core import strict_yaml
from digits.core.config import Config
from digits.core.errors import UserError
from digits.core.split import Split
from digits.core.strict_yaml import Section
from digits.network import model_file
from digits.network.digitnet import pick_device
from digits.training import environment
from digits.training.loop import measure_split, train_network

FEW = 2048  # images; more than the code ever takes at once, except for a batch
RESULTS = ["accuracy", "loss", "train_accuracy", "train_loss", "model_md5"]

MARK = "outdated"  # a last column, there only if a row has it
CONFLICT = ("<<<<<<<", "=======", ">>>>>>>")

Row = dict[str, float | int | str | None]


def train_seed(
    name: str,
    config: Config,
    train: Split,
    scored: Split,
    expected: dict[str, object],
) -> Row:
    """Train as the train stage does, and score the last epoch: the row, without its fingerprint.

    Raises:
        UserError: `computer` differs from `expected` here; the rows would not be comparable.
    """
    actual = computer(config.train.device)
    if actual != expected:
        raise UserError(
            f"{socket.gethostname()} computes with {actual}, expected {expected}; "
            "install the same requirements.txt there"
        )
    device = pick_device(config.train.device)
    train, scored = train.to(device), scored.to(device)
    network, history = train_network(config, train, train.first(0))
    metrics = measure_split(network, scored)
    last = {key: history[-1][key] for key in ("train_accuracy", "train_loss")}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model_file.save(path, network, train.normalisation)
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()  # as in dvc.lock
    return {"recipe": name, "seed": config.train.seed, **metrics, **last, "model_md5": md5}


def fingerprint(config: Config, train: Split, scored: Split) -> str:
    """The first 16 hexadecimal digits of a sha256 over recipe, data and what the code computes.

    It hashes meaning, not spelling. A parameter at its default, which switches it off, does not
    count, and neither do names of metrics. The code counts by its results: seed 0 trained on few
    images. So a package, a processor or an edit that changes bits changes the fingerprint; an edit
    that changes none keeps days of training valid. It takes some seconds, on the CPU whatever
    `train.device` says.

    Args:
        config: all of it but the seed, the budget and the source of the data.
        train: every image and label of it.
        scored: every image and label of it.

    Raises:
        UserError: the recipe leaves its device open.
    """
    if config.train.device == "auto":
        raise UserError(
            "train.device is auto, which can differ between nodes; set it to cpu or cuda"
        )
    parameters = config.model_dump(
        mode="json",
        exclude={"download": True, "model": {"parameter_budget"}, "train": {"seed"}},
        exclude_defaults=True,
    )
    size = config.train.batch_size
    few = (FEW // size + 1) * size + 2  # whole batches, and a small one
    probe = with_training(config, seed=0, device="cpu")
    row = train_seed("", probe, train.first(few), scored.first(few), computer("cpu"))
    results = [row[name] for name in RESULTS]
    digest = hashlib.sha256(json.dumps([parameters, results], sort_keys=True).encode())
    for tensor in (train.images, train.labels, scored.images, scored.labels):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def computer(device: str) -> dict[str, object]:
    """Software and CPU settings of this machine that affect results bit for bit."""
    settings = environment.describe(torch.device(device))
    del settings["threads"]  # Ray's workers start with one, and their number changes no bit
    return settings


def with_training(config: Config, **values: int | str) -> Config:
    """The same recipe with other values in its section `train`."""
    return config.model_copy(update={"train": config.train.model_copy(update=values)})


class Entry(Section):
    """A row; text becomes numbers. `outdated`: it is of other code, data or parameters."""

    model_config = ConfigDict(strict=False)
    if_missing = "restore the table with git, or delete the row"

    recipe: str = Field(min_length=1)
    seed: int = Field(ge=0, lt=2**32)
    accuracy: float = Field(ge=0, le=1)
    loss: float = Field(ge=0)
    train_accuracy: float = Field(ge=0, le=1)
    train_loss: float = Field(ge=0)
    model_md5: str = Field(pattern="^[0-9a-f]{32}$")
    fingerprint: str = Field(pattern="^[0-9a-f]{16}$")
    outdated: Literal["", "yes"] = ""


COLUMNS = [name for name in Entry.model_fields if name != MARK]


def read_rows(table: Path) -> pd.DataFrame:
    """The rows that count, with COLUMNS; none if there is no such file.

    Raises:
        UserError: see `read_all_rows`; or a seed of a recipe counts twice.
    """
    rows = read_all_rows(table)
    rows = rows.loc[rows[MARK] != "yes"]
    _refuse_twice(table, rows, ["recipe", "seed"])
    return rows[COLUMNS].reset_index(drop=True)


def read_all_rows(table: Path) -> pd.DataFrame:
    """All rows, with COLUMNS and MARK; the index is the line in the file.

    Raises:
        UserError: the file has other columns, a merge has left its conflict in it, a value is out
            of range, or a row appears twice.
    """
    entries: dict[int, Entry] = {}
    if table.is_file():
        lines = table.read_text(errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            if line.startswith(CONFLICT):
                raise UserError(
                    f"{table}, line {number}: a merge has left its conflict here; keep the rows of "
                    "both sides, each once"
                )
        reader = csv.DictReader(lines, restkey="more")
        if reader.fieldnames not in (COLUMNS, [*COLUMNS, MARK]):
            raise UserError(
                f"{table}: columns are {reader.fieldnames}, expected {COLUMNS}; "
                "restore it with git or delete it"
            )
        for row in reader:
            where = f"{table}, line {reader.line_num}"
            values = {key: value for key, value in row.items() if value is not None}
            entries[reader.line_num] = strict_yaml.check(Entry, values, where)
    content = [entry.model_dump() for entry in entries.values()]
    rows = pd.DataFrame(content, list(entries), [*COLUMNS, MARK])
    _refuse_twice(table, rows, ["recipe", "seed", "fingerprint"])
    return rows


def encode_rows(rows: pd.DataFrame, outdated: pd.DataFrame) -> bytes:
    """The table of these rows, those that do not count at its end and marked."""
    if not len(outdated):
        return rows[COLUMNS].to_csv(index=False).encode()
    marked = outdated.assign(outdated="yes").sort_values(by=["recipe", "seed", "fingerprint"])
    both = [rows[COLUMNS].assign(outdated=""), marked[[*COLUMNS, MARK]]]
    return pd.concat([each for each in both if len(each)]).to_csv(index=False).encode()


def _refuse_twice(table: Path, rows: pd.DataFrame, key: list[str]) -> None:
    twice = rows[rows.duplicated(key)]
    if len(twice):
        line, first = twice.index[0], twice.iloc[0]
        raise UserError(
            f"{table}, line {line}: seed {first['seed']} of {first['recipe']} appears twice; "
            "delete one of its rows"
        )
