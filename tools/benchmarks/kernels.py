"""Convolutions of the recipes on one thread: `python -m tools.benchmarks.kernels ROUNDS`.

Prints one JSON object: GFLOP/s of every convolution in every direction, ours and oneDNN's, of the
multiply-adds that are the ceiling, and the GB/s of a copy. All take turns; medians of the rounds.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

# isort: off
import digits  # noqa: F401  # pyright: ignore[reportUnusedImport]  pins instruction sets before torch is imported
import torch

# isort: on
import numpy as np
import torch.nn.functional as F

from digits.core import config
from digits.network.digitnet import DigitNet
from digits.network.fast.job import Network
from digits.network.fast.lanes import add_products, load, store_block, zeros
from digits.network.fast.path import FastPath
from digits.network.fast.products import (
    add_filter_gradients,
    backward_plane,
    convolve,
    forward_plane,
)
from digits.network.fast.register import LANES, Array, cached
from digits.network.fast.step import OCTETS
from digits.network.layers import ConvBlock
from study import plan
from tools.benchmarks.measure import ROOT

RECIPES = [ROOT / f"recipes/{name}.yaml" for name in plan.published(ROOT)]
BATCH = 128
CALLS = 5  # timed together, so that most find in the cache what the last one left there
DIRECTIONS = ["forward", "gradient by weights", "gradient by input"]
MULTIPLY_ADDS = 100_000  # of each register of the ceiling
COPIED = 2**26  # numbers; more than caches hold

Call = Callable[[int], object]  # does its work so many times


class Convolution(NamedTuple):
    """A 3x3 convolution."""

    inputs: int
    outputs: int
    size: int
    padding: int

    def __str__(self) -> str:
        return f"{self.inputs}→{self.outputs} @ {self.size}{'' if self.padding else ' valid'}"

    @property
    def output_size(self) -> int:
        """The width of what comes out, in pixels."""
        return self.size - 2 + 2 * self.padding

    @property
    def flop(self) -> int:
        """Of a batch, in each direction."""
        return 18 * self.inputs * self.outputs * self.output_size**2 * BATCH

    @property
    def intensity(self) -> float:
        """FLOP per byte of features, each read or written once; the weights are neglected."""
        numbers = self.inputs * self.size**2 + self.outputs * self.output_size**2
        return self.flop / (4 * numbers * BATCH)


def convolutions(network: DigitNet) -> list[Convolution]:
    """Those of a network, in order."""
    return [
        Convolution(layer.input.channels, layer.channels, layer.input.size, layer.padding)
        for layer in network.layers
        if isinstance(layer, ConvBlock)
    ]


def network_of(recipe: Path) -> DigitNet:
    """The network of a recipe."""
    return DigitNet(config.read(recipe).model, torch.Generator().manual_seed(0))


@cached
def forward(net: Network, layer: Any, times: int) -> None:
    """As forward.py calls it."""
    for _ in range(times):
        for first in range(0, len(net.features), OCTETS):
            for k in range(layer.outputs):
                plane = forward_plane(layer, k)
                for octet in range(first, first + OCTETS):
                    convolve(net.features[octet], net.weights, plane)


@cached
def by_weights(net: Network, layer: Any, times: int) -> None:
    """As backward.py calls it."""
    for _ in range(times):
        for first in range(0, len(net.features), OCTETS):
            add_filter_gradients(net.features, first, first + OCTETS, layer, net.gradients[0])


@cached
def by_input(net: Network, layer: Any, times: int) -> None:
    """As backward.py calls it."""
    for _ in range(times):
        for first in range(0, len(net.features), OCTETS):
            for c in range(layer.inputs):
                plane = backward_plane(layer, c)
                for octet in range(first, first + OCTETS):
                    convolve(net.features[octet], net.weights, plane)


@cached
def multiply_add(f: Array, times: int) -> None:
    """Add f[r, p] * f[2, 0], as 2 rows of 6 registers at once: two a cycle, each 4 cycles long."""
    sums = zeros(f, 2, 6)
    for _ in range(times * MULTIPLY_ADDS):
        sums = add_products(sums, f, 0, 6 * LANES, load(f, 12 * LANES))
    store_block(f, 13 * LANES, 6 * LANES, sums)


def ours(recipe: Path) -> Iterator[tuple[Convolution, str, Call]]:
    """The calls of a network, on the memory in which it is trained."""
    network = network_of(recipe)
    first, second = torch.zeros(2, sum(each.numel() for each in network.parameters()))
    path = FastPath(network, first, second)
    path.classify(torch.randn(BATCH, 1, 28, 28), BATCH)  # fills the memory
    net: Network = path._net  # pyright: ignore[reportPrivateUsage]
    layers = net.plan[net.convolutions]
    for convolution, layer in zip(convolutions(network), layers, strict=True):
        for direction, call in zip(DIRECTIONS, (forward, by_weights, by_input), strict=True):
            if convolution.inputs > 1 or call is not by_input:  # images need no gradient
                yield convolution, direction, partial(call, net, layer)


def one_dnn(convolution: Convolution, direction: str) -> Call:
    """The same in torch, in the layout that it is fastest in."""
    inputs, outputs, size, padding = convolution
    x, weights, gradient = (
        torch.randn(shape).to(memory_format=torch.channels_last)
        for shape in (
            (BATCH, inputs, size, size),
            (outputs, inputs, 3, 3),
            (BATCH, outputs, convolution.output_size, convolution.output_size),
        )
    )
    mask = [direction == "gradient by input", direction == "gradient by weights", False]
    one, none, pads = [1, 1], [0, 0], [padding, padding]

    def call(times: int) -> None:
        for _ in range(times):
            if direction == "forward":
                F.conv2d(x, weights, padding=padding)
            else:
                torch.ops.aten.convolution_backward(
                    gradient, x, weights, None, one, pads, one, False, none, 1, mask
                )

    return call


def copy(memory: Array, times: int) -> None:
    """Read the first half and write the second."""
    for _ in range(times):
        memory[1] = memory[0]


def measure(rounds: int) -> dict[str, float]:
    """Work per nanosecond by name; the name of a convolution has who, direction and shape."""
    registers = np.ones(25 * LANES, np.float32)
    calls: dict[str, tuple[float, Call]] = {
        "ceiling": (2 * 12 * LANES * MULTIPLY_ADDS, partial(multiply_add, registers)),
        "copy": (8 * COPIED, partial(copy, np.ones((2, COPIED), np.float32))),
    }
    for recipe in RECIPES:
        for convolution, direction, call in ours(recipe):
            name = f"{direction}, {convolution}"
            calls[f"ours, {name}"] = convolution.flop, call
            calls[f"oneDNN, {name}"] = convolution.flop, one_dnn(convolution, direction)
    for _, call in calls.values():
        call(1)
    assert (registers[13 * LANES :] == MULTIPLY_ADDS).all(), "it must have been computed"
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, (_, call) in calls.items():
            begun = time.perf_counter_ns()
            call(CALLS)
            times[name].append(time.perf_counter_ns() - begun)
    return {
        name: CALLS * work / statistics.median(times[name]) for name, (work, _) in calls.items()
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(measure(int(sys.argv[1]))))
