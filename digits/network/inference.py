"""A network that is built again from its weights, and the logits of images."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from digits.core.data_shape import DataShape, channels_first
from digits.core.errors import UserError, one_line
from digits.core.tensor_file import AGAIN
from digits.network.blocks import Architecture
from digits.network.digitnet import DigitNet

EVALUATION_BATCH = 200  # images; more takes memory and saves no time


def rebuild(
    path: Path,
    architecture: Architecture,
    weights: Mapping[str, torch.Tensor],
    shape: DataShape,
    again: str = AGAIN,
) -> DigitNet:
    """The network of these weights, in evaluation mode; `path`, which they are from, is for errors.

    Raises:
        UserError: weights that do not fit the architecture or are not finite.
    """
    try:
        with torch.device("meta"):  # takes memory only once the weights are known to fill it
            state = DigitNet(architecture, shape=shape).state_dict()
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
            raise UserError(f"{path}: {name} is not finite; {again}")
    network = DigitNet(architecture, torch.Generator(), shape)
    network.load_state_dict(weights)
    return network.eval()


def _kind(weight: torch.Tensor) -> str:
    return f"{weight.dtype} of shape {list(weight.shape)}"


def classify(
    network: DigitNet,
    images: torch.Tensor,
    normalisation: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Logits float32 `(N, classes)` of raw images uint8, in evaluation mode."""
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        batches = channels_first(images).split(EVALUATION_BATCH)
        logits = torch.cat([network(normalisation(batch)) for batch in batches])
    network.train(was_training)
    return logits
