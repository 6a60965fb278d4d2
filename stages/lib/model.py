"""The network, its parameter count, and the file that carries it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import nn

from stages.lib import fused, tensors
from stages.lib.errors import UserError, one_line
from stages.lib.parameters import IMAGE_SIZE, Architecture, Block, Model
from stages.lib.splits import DIGITS, Normalisation

EVALUATION_BATCH = 200  # more takes memory and saves no time


class Dropout(nn.Dropout):
    """`nn.Dropout` whose mask comes from the caller's generator."""

    def forward(
        self, input: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Zero each value with probability p and scale the rest by 1 / (1 - p), in training."""
        if not self.training or self.p == 0:
            return input
        random = torch.rand(input.shape, generator=generator, device=input.device)
        return input * random.ge_(self.p).div_(1 - self.p)


class DigitNet(nn.Module):
    """Convolution blocks and a small head: images `(N, 1, 28, 28)` -> logits `(N, 10)`.

    A number in `blocks` is conv3x3 (padding 1), BatchNorm, ReLU with that many channels;
    'pool' is MaxPool2d(2). `hidden` is the width of the layer before the logits, or None.
    Dropout stands after the last block and after the hidden layer. Weights are drawn from
    `generator` as torch draws them by default: uniform within 1 / sqrt(fan-in).
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        hidden: int | None,
        dropout: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.architecture = Architecture(blocks=list(blocks), hidden=hidden, dropout=dropout)
        widths = [1] + [block for block in blocks if block != "pool"]
        size = IMAGE_SIZE >> self.architecture.blocks.count("pool")
        head = [widths[-1] * size**2, *([hidden] if hidden else []), DIGITS]
        with torch.random.fork_rng(devices=[]):  # torch's layers draw from the global generator
            for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
                self.add_module(f"conv{number}", nn.Conv2d(inputs, outputs, 3, padding=1))
                self.add_module(f"bn{number}", nn.BatchNorm2d(outputs))
            for number, (inputs, outputs) in enumerate(pairwise(head), start=1):
                self.add_module(f"fc{number}", nn.Linear(inputs, outputs))
        self.dropout = Dropout(dropout)
        self._draw_weights(generator)

    def forward(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Logits float32 `(N, 10)` of normalised images float32 `(N, 1, 28, 28)`.

        `generator` draws the dropout masks; None is torch's default generator.
        """
        blocks = self.architecture.blocks
        features, number = images, 0
        for before, block, after in zip([None, *blocks], blocks, [*blocks[1:], None], strict=False):
            if block != "pool":
                number += 1
                features = self._convolve(number, features, pool=after == "pool")
            elif before in (None, "pool"):  # any other pool belongs to its convolution
                features = F.max_pool2d(features, 2)
        features = self.dropout(features.flatten(1), generator)
        if "fc2" in self._modules:
            features = self.dropout(F.relu(self.get_submodule("fc1")(features)), generator)
            return self.get_submodule("fc2")(features)
        return self.get_submodule("fc1")(features)

    def _convolve(self, number: int, features: torch.Tensor, pool: bool) -> torch.Tensor:
        conv: nn.Conv2d = self._modules[f"conv{number}"]  # pyright: ignore
        norm: nn.BatchNorm2d = self._modules[f"bn{number}"]  # pyright: ignore
        if self.training and features.device.type == "cpu":
            return fused.conv_norm_relu(features, conv, norm, pool)
        features = norm(conv(features))
        # ReLU and max-pooling commute; after the pool, ReLU has a quarter of the work
        return F.relu(F.max_pool2d(features, 2) if pool else features)

    def _draw_weights(self, generator: torch.Generator | None) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5
                for parameter in module.parameters():
                    nn.init.uniform_(parameter, -bound, bound, generator)


def parameter_count(architecture: Architecture) -> int:
    """The number of trainable parameters, counted on a network without memory."""
    with torch.device("meta"):
        model = DigitNet(architecture.blocks, architecture.hidden, architecture.dropout)
    return sum(parameter.numel() for parameter in model.parameters())


def check_budget(chosen: Model) -> int:
    """The number of parameters of the network.

    Raises:
        UserError: it is over the budget.
    """
    count = parameter_count(chosen)
    if count > chosen.parameter_budget:
        raise UserError(
            f"params.yaml: model.parameter_budget is {chosen.parameter_budget:,}, but model.blocks "
            f"and model.hidden make {count:,} parameters; make them smaller or the budget larger"
        )
    return count


def pick_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the GPU if there is one.

    Raises:
        UserError: `cuda` without a GPU that torch can use.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("params.yaml: train.device is cuda, but torch finds no GPU; use cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


class ModelHeader(BaseModel):
    """The header of a model file: the architecture and the normalisation of its images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture
    normalisation: Normalisation


def save(path: Path, model: DigitNet, normalisation: Normalisation) -> None:
    """Write weights, architecture and normalisation into one file; same model, same bytes."""
    header = ModelHeader(architecture=model.architecture, normalisation=normalisation)
    tensors.save(path, model.state_dict(), header)


def load(path: Path) -> tuple[DigitNet, Normalisation]:
    """Rebuild the network that `save` wrote, in evaluation mode.

    Raises:
        UserError: no such file, not a model, or weights that do not fit the architecture or are
            not finite.
    """
    weights, header = tensors.load(path, ModelHeader)
    architecture = header.architecture
    shape = architecture.blocks, architecture.hidden, architecture.dropout
    with torch.device("meta"):  # the memory is taken once the weights are known to fill it
        expected = {name: _kind(weight) for name, weight in DigitNet(*shape).state_dict().items()}
    found = {name: _kind(weight) for name, weight in weights.items()}
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise UserError(
                f"{path}: the weights do not fit the architecture: {one_line(name)} is "
                f"{found.get(name, 'missing')}, expected {expected.get(name, 'none')}"
            )
        if not weights[name].isfinite().all():
            raise UserError(f"{path}: {name} is not finite; `dvc repro` remakes it")
    model = DigitNet(*shape, torch.Generator())
    model.load_state_dict(weights)
    return model.eval(), header.normalisation


def _kind(weight: torch.Tensor) -> str:
    return f"{weight.dtype} of shape {list(weight.shape)}"


def predict(model: DigitNet, images: torch.Tensor, normalisation: Normalisation) -> torch.Tensor:
    """Logits float32 `(N, 10)` of images uint8 `(N, 28, 28)`, in evaluation mode."""
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        batches = images.unsqueeze(1).split(EVALUATION_BATCH)
        logits = torch.cat([model(normalisation(batch)) for batch in batches])
    model.train(was_training)
    return logits


def is_finite(model: DigitNet) -> bool:
    """Whether no weight and no running statistic is infinite or not a number."""
    return all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values())
