"""The network, and its parameter count."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from digits.core.data_shape import MNIST, DataShape
from digits.core.errors import UserError
from digits.network.blocks import Architecture, layers_of

if TYPE_CHECKING:
    from digits.core.config import Model  # whoever only loads a network may lack pydantic


class Dropout(nn.Dropout):
    """`nn.Dropout` whose mask comes from the caller's generator."""

    def forward(self, input: torch.Tensor, rng: torch.Generator | None = None) -> torch.Tensor:
        """Zero each value with probability p and scale the rest by 1 / (1 - p), in training."""
        if not self.training or self.p == 0:
            return input
        return input * self.mask(input.shape, rng, input.device)

    def mask(
        self, shape: tuple[int, ...], rng: torch.Generator | None, device: torch.device
    ) -> torch.Tensor:
        """What to multiply values of this shape by."""
        return torch.rand(shape, generator=rng, device=device).ge_(self.p).div_(1 - self.p)


class DigitNet(nn.Module):
    """Convolution blocks and a small head: images `(N, channels, H, W)` -> logits `(N, classes)`.

    blocks.py says what an architecture means. Dropout stands before each linear layer. Weights are
    drawn from `rng` as torch draws them by default: uniform within 1 / sqrt(fan-in).

    Raises:
        UserError: the architecture makes no sense.
    """

    def __init__(
        self,
        architecture: Architecture,
        rng: torch.Generator | None = None,
        shape: DataShape = MNIST,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.architecture = architecture
        self.layers = layers_of(architecture, shape)
        with torch.random.fork_rng(devices=[]):  # torch's layers draw from the global generator
            for layer in self.layers:
                for name, module in layer.modules().items():
                    self.add_module(name, module)
        self.dropout = Dropout(architecture.dropout)
        self._draw_weights(rng)

    def forward(self, images: torch.Tensor, rng: torch.Generator | None = None) -> torch.Tensor:
        """Logits float32 `(N, classes)` of normalised images float32 `(N, channels, H, W)`.

        `rng` draws the dropout masks; None is torch's default generator.
        """
        features = images
        for layer in self.layers:
            features = layer.forward(self, features, rng)
        return features

    def _draw_weights(self, rng: torch.Generator | None) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5
                for parameter in module.parameters():
                    nn.init.uniform_(parameter, -bound, bound, rng)


def parameter_count(architecture: Architecture, shape: DataShape = MNIST) -> int:
    """The number of trainable parameters, counted on a network that takes no memory.

    Raises:
        UserError: the architecture makes no sense.
    """
    with torch.device("meta"):
        network = DigitNet(architecture, shape=shape)
    return sum(parameter.numel() for parameter in network.parameters())


def check_budget(config: "Model", file: str = "params.yaml", shape: DataShape = MNIST) -> int:
    """The number of parameters of the network that a parameter file describes.

    Raises:
        UserError: the architecture makes no sense, or is over the budget.
    """
    try:
        count = parameter_count(config, shape)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    if count > config.parameter_budget:
        raise UserError(
            f"{file}: model.parameter_budget is {config.parameter_budget:,}, but for {shape}, "
            f"model.blocks and model.hidden make {count:,} parameters; make them smaller or the "
            "budget larger"
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
