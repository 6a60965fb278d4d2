"""The file that carries a trained network: weights, architecture, shape and normalisation."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from digits.core import tensor_file
from digits.core.config import Architecture
from digits.core.data_shape import MNIST, DataShape
from digits.core.errors import UserError
from digits.core.split import Normalisation, Split
from digits.network.digitnet import DigitNet
from digits.network.inference import classify, rebuild

__all__ = ["ModelHeader", "check_shape", "classify", "load", "save"]


class ModelHeader(BaseModel):
    """The header of a model file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture
    normalisation: Normalisation
    shape: DataShape = Field(default=MNIST, exclude_if=lambda shape: shape == MNIST)


def save(path: Path, network: DigitNet, normalisation: Normalisation) -> None:
    """Write the network; the same network gives the same bytes."""
    values = {name: getattr(network.architecture, name) for name in Architecture.model_fields}
    header = ModelHeader(
        architecture=Architecture(**values), normalisation=normalisation, shape=network.shape
    )
    tensor_file.save(path, network.state_dict(), header)


def load(path: Path) -> tuple[DigitNet, Normalisation]:
    """Rebuild the network that `save` wrote, in evaluation mode.

    Raises:
        UserError: no such file, not a model, or weights that do not fit the architecture or are
            not finite.
    """
    weights, header = tensor_file.load(path, ModelHeader)
    return rebuild(path, header.architecture, weights, header.shape), header.normalisation


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
