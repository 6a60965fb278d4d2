"""The file that carries a trained network: weights, architecture, shape and normalisation."""

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from digits.core import tensor_file
from digits.core.config import Architecture
from digits.core.data_shape import MNIST, DataShape
from digits.core.errors import UserError, one_line
from digits.core.split import Normalisation, Split, channels_first
from digits.network.digitnet import DigitNet

EVALUATION_BATCH = 200  # images; more takes memory and saves no time


class ModelHeader(BaseModel):
    """The header of a model file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture
    normalisation: Normalisation
    shape: DataShape = Field(default=MNIST, exclude_if=lambda shape: shape == MNIST)


def save(path: Path, network: DigitNet, normalisation: Normalisation) -> None:
    """Write the network; the same network gives the same bytes."""
    header = ModelHeader(
        architecture=network.architecture, normalisation=normalisation, shape=network.shape
    )
    tensor_file.save(path, network.state_dict(), header)


def load(path: Path) -> tuple[DigitNet, Normalisation]:
    """Rebuild the network that `save` wrote, in evaluation mode.

    Raises:
        UserError: no such file, not a model, or weights that do not fit the architecture or are
            not finite.
    """
    weights, header = tensor_file.load(path, ModelHeader)
    try:
        with torch.device("meta"):  # takes memory only once the weights are known to fill it
            state = DigitNet(header.architecture, shape=header.shape).state_dict()
    except UserError as error:
        raise UserError(f"{path}: {one_line(str(error))}") from None
    expected = {name: _kind(weight) for name, weight in state.items()}
    actual = {name: _kind(weight) for name, weight in weights.items()}
    for name in sorted(actual.keys() | expected.keys()):
        if actual.get(name) != expected.get(name):
            raise UserError(
                f"{path}: the weights do not fit the architecture: {one_line(name)} is "
                f"{actual.get(name, 'missing')}, expected {expected.get(name, 'none')}"
            )
        if not weights[name].isfinite().all():
            raise UserError(f"{path}: {name} is not finite; `dvc repro` makes the file again")
    network = DigitNet(header.architecture, torch.Generator(), header.shape)
    network.load_state_dict(weights)
    return network.eval(), header.normalisation


def _kind(weight: torch.Tensor) -> str:
    return f"{weight.dtype} of shape {list(weight.shape)}"


def classify(network: DigitNet, images: torch.Tensor, normalisation: Normalisation) -> torch.Tensor:
    """Logits float32 `(N, classes)` of raw images uint8, in evaluation mode."""
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        batches = channels_first(images).split(EVALUATION_BATCH)
        logits = torch.cat([network(normalisation(batch)) for batch in batches])
    network.train(was_training)
    return logits


def check_shape(path: Path, network: DigitNet, split: Split) -> None:
    """Refuse images that are not of the shape, or not of the classes, that a network reads.

    Raises:
        UserError: they are not.
    """
    if network.shape != split.shape:
        raise UserError(
            f"{path}: reads {network.shape}, but the images have {split.shape}, or other names or "
            "another fit; train it on them with `dvc repro`"
        )
