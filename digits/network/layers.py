"""The types of layers.

A layer knows its output shape, its modules, how torch runs it, and the operations that it becomes
in an ONNX file. So a new type is a class here and a word in `WORDS`; the network, the parameter
count, the size checks and the ONNX writer all read the list that blocks.py makes of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digits.network.onnx_operation import Operation


@dataclass(frozen=True)
class Shape:
    """The features between two layers: `(N, channels, size, size)`."""

    channels: int
    size: int


class Layer(ABC):
    """A part of the network."""

    @property
    @abstractmethod
    def output(self) -> Shape:
        """The shape of what it computes."""

    def modules(self) -> dict[str, nn.Module]:
        """Its modules by the names that they have in the network."""
        return {}

    @abstractmethod
    def forward(self, network: nn.Module, features: Tensor, rng: torch.Generator | None) -> Tensor:
        """Run it; `rng` draws dropout masks, None is torch's default generator."""

    @abstractmethod
    def operations(self, network: nn.Module) -> list[Operation]:
        """Its steps in a trained network: no dropout, BatchNorm folded into the convolution."""


@dataclass(frozen=True)
class ConvBlock(Layer):
    """conv3x3, BatchNorm and ReLU."""

    number: int  # counted from 1
    input: Shape
    channels: int
    padding: int = 1  # 0 or 1
    has_bias: bool = True  # of the convolution; BatchNorm takes it away again

    @property
    def output(self) -> Shape:
        return Shape(self.channels, self.input.size - 2 + 2 * self.padding)

    def modules(self) -> dict[str, nn.Module]:
        inputs, padding, bias = self.input.channels, self.padding, self.has_bias
        conv = nn.Conv2d(inputs, self.channels, 3, padding=padding, bias=bias)
        return {f"conv{self.number}": conv, f"bn{self.number}": nn.BatchNorm2d(self.channels)}

    def forward(self, network: nn.Module, features: Tensor, rng: torch.Generator | None) -> Tensor:
        conv, norm = self._modules(network)
        return F.relu(norm(conv(features)))

    def operations(self, network: nn.Module) -> list[Operation]:
        """The convolution with BatchNorm folded in, in float64 and rounded once."""
        conv, norm = self._modules(network)
        weights, bias = _float64(conv.weight), 0 if conv.bias is None else _float64(conv.bias)
        gamma, beta = map(_float64, norm.parameters())
        mean, variance, _ = map(_float64, norm.buffers())
        factor = gamma / np.sqrt(variance + norm.eps)
        folded = (weights * factor[:, None, None, None]).astype(np.float32)
        shift = (beta + (bias - mean) * factor).astype(np.float32)
        kernel, offset = torch.from_numpy(folded), torch.from_numpy(shift)
        return [
            Operation(
                "weighted",
                "Conv",
                lambda features: F.conv2d(features, kernel, offset, padding=self.padding),
                {"kernel_shape": [3, 3], "pads": [self.padding] * 4},
                weights=folded,
                bias=shift,
                relu=True,
            )
        ]

    def _modules(self, network: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
        conv = network.get_submodule(f"conv{self.number}")
        norm = network.get_submodule(f"bn{self.number}")
        return cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)


@dataclass(frozen=True)
class MaxPool(Layer):
    """MaxPool2d(2)."""

    input: Shape

    @property
    def output(self) -> Shape:
        return Shape(self.input.channels, self.input.size // 2)

    def forward(self, network: nn.Module, features: Tensor, rng: torch.Generator | None) -> Tensor:
        return F.max_pool2d(features, 2)

    def operations(self, network: nn.Module) -> list[Operation]:
        return [
            Operation(
                "pool{}",
                "MaxPool",
                lambda features: F.max_pool2d(features, 2),
                {"kernel_shape": [2, 2], "strides": [2, 2]},
                exact=True,
            )
        ]


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """The mean of every channel."""

    input: Shape

    @property
    def output(self) -> Shape:
        return Shape(self.input.channels, 1)

    def forward(self, network: nn.Module, features: Tensor, rng: torch.Generator | None) -> Tensor:
        return features.mean((2, 3), keepdim=True)

    def operations(self, network: nn.Module) -> list[Operation]:
        return [Operation("mean", "GlobalAveragePool", lambda values: values.mean((2, 3), True))]


@dataclass(frozen=True)
class Linear(Layer):
    """Dropout and a linear layer, with ReLU unless it is the last one, which gives the logits."""

    number: int  # counted from 1
    input: Shape
    outputs: int
    last: bool

    @property
    def output(self) -> Shape:
        return Shape(self.outputs, 1)

    def modules(self) -> dict[str, nn.Module]:
        inputs = self.input.channels * self.input.size**2
        return {f"fc{self.number}": nn.Linear(inputs, self.outputs)}

    def forward(self, network: nn.Module, features: Tensor, rng: torch.Generator | None) -> Tensor:
        features = network.get_submodule("dropout")(features.flatten(1), rng)
        features = network.get_submodule(f"fc{self.number}")(features)
        return features if self.last else F.relu(features)

    def operations(self, network: nn.Module) -> list[Operation]:
        linear = network.get_submodule(f"fc{self.number}")
        weights, bias = (_float64(part).astype(np.float32) for part in linear.parameters())
        matrix, offset = torch.from_numpy(weights), torch.from_numpy(bias)
        flatten = Operation(
            "flat", "Flatten", lambda features: features.flatten(1), {"axis": 1}, exact=True
        )
        product = Operation(
            "weighted",
            "Gemm",
            lambda features: F.linear(features, matrix, offset),
            {"transB": 1},
            weights=weights,
            bias=bias,
            relu=not self.last,
        )
        return [flatten, product] if self.number == 1 else [product]


def _float64(tensor: Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().double().numpy()


WORDS: dict[str, Callable[[Shape], Layer]] = {"pool": MaxPool, "gap": GlobalAveragePool}
