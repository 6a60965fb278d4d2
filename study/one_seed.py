"""One row of a study: a recipe trained with one seed, and the fingerprint of its inputs."""

import hashlib
import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from digits.core.config import Config
from digits.core.errors import UserError
from digits.core.split import Split
from digits.network import model_file
from digits.network.digitnet import pick_device
from digits.training import environment
from digits.training.loop import measure_split, train_network

FEW = 2048  # images; more than the code ever takes at once, except for a batch
RESULTS = ["accuracy", "loss", "train_accuracy", "train_loss", "model_md5"]

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
