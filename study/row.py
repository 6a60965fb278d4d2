"""One row of a study: a recipe trained with one seed, and the hash of what determines the row."""

import hashlib
import json
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from stages.lib import environment, fused, model
from stages.lib.errors import UserError
from stages.lib.parameters import Parameters
from stages.lib.scores import score
from stages.lib.splits import Split
from stages.train import train_recipe

FEW = 2048  # images; more than the code ever takes at once, but for a batch

Row = dict[str, float | int | str | None]


def train_seed(
    name: str,
    recipe: Parameters,
    training: Split,
    scored: Split,
    expected: dict[str, object],
) -> Row:
    """Train as the train stage does, and score the last epoch: the row, without its identity.

    Raises:
        UserError: `computer` says something else here than `expected`; rows would be mixed.
    """
    found = computer(recipe.train.device)
    if found != expected:
        raise UserError(
            f"{socket.gethostname()} computes with {found}, expected {expected}; "
            "install the same requirements.txt there"
        )
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


def identity(recipe: Parameters, training: Split, scored: Split) -> str:
    """The first 16 hexadecimal digits of a sha256 over recipe, data and what the code computes.

    The code is hashed by what it does: the row of seed 0 on few images. A package, a processor
    or an edit that changes bits changes the identity; an edit that changes none does not throw
    days of training away. It takes some seconds, on the processor whatever `train.device` says.

    Args:
        recipe: all of it but the seed, the budget and the source of the data.
        training: every image and label of it.
        scored: every image and label of it.

    Raises:
        UserError: the recipe leaves its device open.
    """
    if recipe.train.device == "auto":
        raise UserError(
            "train.device is auto, which is another device on another node; name cpu or cuda"
        )
    chosen = recipe.model_dump(
        mode="json",
        exclude={"download": True, "model": {"parameter_budget"}, "train": {"seed"}},
    )
    size = recipe.train.batch_size
    few = (FEW // size + 1) * size + 2  # whole batches, and a small one
    tried = with_train(recipe, seed=0, device="cpu")
    row = train_seed("", tried, first(training, few), first(scored, few), computer("cpu"))
    del row["threads"]  # which change no bit
    digest = hashlib.sha256(json.dumps([chosen, row], sort_keys=True).encode())
    for tensor in (training.images, training.labels, scored.images, scored.labels):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def computer(device: str) -> dict[str, object]:
    """What bits hang on besides code, recipe and data, of the machine that this runs on."""
    found = environment.describe(torch.device(device))
    del found["threads"]  # Ray's workers begin with one, and none changes a bit
    return found


def first(split: Split, count: int) -> Split:
    """The first `count` images of a split, or all of them if there are fewer."""
    return Split(split.images[:count], split.labels[:count], split.normalisation)


def with_train(recipe: Parameters, **values: int | str) -> Parameters:
    """The same recipe with other values in its section `train`."""
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=values)})
