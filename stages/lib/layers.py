"""A trained network as a plain list of layers: what inference needs and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from stages.lib.model import DigitNet

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """MaxPool2d(2)."""


@dataclass(frozen=True)
class Weighted:
    """A convolution (3x3, padding 1) or a linear layer, and whether ReLU follows.

    weights: `(K, C, 3, 3)` or, of a linear layer, `(K, C)`. bias: `(K,)`.
    """

    weights: Floats
    bias: Floats
    relu: bool


Layer = Pool | Weighted


def layers_of(network: DigitNet) -> list[Layer]:
    """The layers in order, from normalised images to logits; dropout does nothing here.

    Each BatchNorm becomes a part of the convolution before it: with the running statistics it
    is a factor and a summand for each channel. Computed in float64 and rounded once.
    """
    found: list[Layer] = []
    number = 0
    for block in network.architecture.blocks:
        if block == "pool":
            found.append(Pool())
        else:
            number += 1
            conv: nn.Conv2d = network.get_submodule(f"conv{number}")  # pyright: ignore
            norm: nn.BatchNorm2d = network.get_submodule(f"bn{number}")  # pyright: ignore
            found.append(_fold(conv, norm))
    heads = [name for name in ("fc1", "fc2") if name in dict(network.named_children())]
    for name in heads:
        linear = network.get_submodule(name)
        weights, bias = (_array(part).astype(np.float32) for part in linear.parameters())
        found.append(Weighted(weights, bias, relu=name != heads[-1]))
    return found


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Weighted:
    """A convolution and the BatchNorm behind it as one convolution."""
    weights, bias = map(_array, conv.parameters())
    gamma, beta = map(_array, norm.parameters())
    mean, variance, _ = map(_array, norm.buffers())
    factor = gamma / np.sqrt(variance + norm.eps)
    return Weighted(
        (weights * factor[:, None, None, None]).astype(np.float32),
        (beta + (bias - mean) * factor).astype(np.float32),
        relu=True,
    )


def _array(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().double().numpy()


def ceilings(layers: Sequence[Layer], images: torch.Tensor) -> list[float]:
    """The highest value that each weighted layer puts out on these images.

    Args:
        layers: of a network.
        images: normalised float32 `(N, 1, 28, 28)`, N at least 1.
    """
    found: list[float] = []
    with torch.inference_mode():
        features = images
        for layer in layers:
            match layer:
                case Pool():
                    features = F.max_pool2d(features, 2)
                case Weighted():
                    weights, bias = torch.from_numpy(layer.weights), torch.from_numpy(layer.bias)
                    if weights.ndim == 4:
                        features = F.conv2d(features, weights, bias, padding=1)
                    else:
                        features = F.linear(features.flatten(1), weights, bias)
                    features = features.relu() if layer.relu else features
                    found.append(features.max().item())
    return found
