"""What native code works on: tuples that Numba can take apart, and the plan of a network."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digits.network.fast.register import LANES, Array, inlined
from digits.network.layers import ConvBlock, GlobalAveragePool, Layer, Linear, Shape

IMAGES, CONVOLUTION, AVERAGE, LINEAR, LOGITS = range(5)  # kinds of records in a plan
TRAIN, STATISTICS, CLASSIFY = range(3)  # modes of a job
SLICES = 8  # of a batch; their sums are added in this order, whoever computed them
EPS = 1e-5  # BatchNorm's

Clock = npt.NDArray[np.int32]  # slices begun, slices done


# What native code knows of a layer. Places are indices into one octet's features, or into weights.
FIELDS = [
    "kind",
    "inputs", "outputs",  # channels, or features of a linear layer
    "size",  # width of what goes in, in pixels
    "window",  # width of the pool that follows
    "x", "corner",  # what goes in: its first pixel, and the first of the border around it
    "pitch", "plane",  # steps to its next row and channel
    "y_size", "y", "y_corner", "y_pitch", "y_plane",  # the same of a convolution's output
    "g",  # the gradient by what goes in, without border; that by the output takes its place
    "w", "bias", "has_bias", "gamma",  # weights; beta stands after gamma
    "channel", "mask",  # how many channels with BatchNorm, and features with dropout, come before
]  # fmt: skip


class Network(NamedTuple):
    """A network and the memory that its training takes; path.py makes it."""

    plan: Any  # rows of a Plan
    convolutions: npt.NDArray[np.int64]  # their places in the plan
    weights: Array
    running: Array  # of BatchNorm: means and variances, layer after layer
    first: Array  # moments of Adam
    second: Array
    features: Array  # (octets, numbers of an octet)
    gradients: Array  # (SLICES, weights)
    sums: npt.NDArray[np.float64]  # (SLICES, channels, 5): centre, moments, passed gradient


class Job(NamedTuple):
    """What to do with which images, in batches."""

    mode: int
    batch: int
    images: Array  # (N, channels * height, width)
    labels: npt.NDArray[np.integer]  # (N,)
    masks: Array  # of dropout, batch after batch and layer after layer: (images, inputs)
    mask_size: int  # of one image
    rates: npt.NDArray[np.float64]  # (batches, 3): Adam's step size, its root's factor, beta1
    weight_decay: float
    momentum: float  # of the running statistics
    logits: Array  # (N, classes)
    clock: Clock


class Piece(NamedTuple):
    """A few octets, `first` up to `last`, of the batch that is `images` images from `begin` on."""

    net: Network
    job: Job
    begin: int
    images: int
    slice: int
    first: int
    last: int


class Channel(NamedTuple):
    """BatchNorm of one channel: scale * y + shift."""

    mean: float  # without the convolution's bias
    inverse: float  # of the standard deviation
    scale: float
    shift: float


@inlined
def bias_of(net: Network, layer: Any, k: int) -> Any:
    """The bias of a convolution's channel, 0 if there is none."""
    return net.weights[layer.bias + k] if layer.has_bias else 0.0


@inlined
def lanes_used(piece: Piece, octet: int) -> int:
    """How many lanes of an octet hold an image: all, except in the last one."""
    return min(LANES, piece.images - octet * LANES)


class Plan:
    """The records of a network's layers, and the places that they take.

    rows: NumPy records with FIELDS: one for the images, for each layer, and for the logits.
    size: how many numbers an octet's features are.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.size = 0  # of an octet
        self._weights = self._channels = self._masked = 0
        self._rows = [dict.fromkeys(FIELDS, 0) | {"window": 1}]  # the images
        for layer in layers:
            if isinstance(layer, ConvBlock):
                self._add_convolution(layer)
            elif isinstance(layer, Linear):
                self._add_linear(layer)
            elif isinstance(layer, GlobalAveragePool):
                self._add(AVERAGE, layer.input, 0)
            else:
                self._rows[-1]["window"] *= 2
        self._add(LOGITS, layers[-1].output, 0)
        self.rows = np.array(
            [tuple(row.values()) for row in self._rows], [(name, np.int64) for name in FIELDS]
        )

    def _add(self, kind: int, shape: Shape, padding: int) -> dict[str, int]:
        """A record with its input, zeros around it, and the gradient by it."""
        pitch = (shape.size + 2 * padding) * LANES
        plane = pitch * (shape.size + 2 * padding)
        row = dict.fromkeys(FIELDS, 0) | {
            "kind": kind, "inputs": shape.channels, "size": shape.size, "window": 1,
            "corner": self._reserve(shape.channels * plane), "pitch": pitch, "plane": plane,
            "g": self._reserve(shape.channels * shape.size**2 * LANES),
            "w": self._weights, "channel": self._channels, "mask": self._masked,
        }  # fmt: skip
        row["x"] = row["corner"] + padding * (pitch + LANES)
        self._rows.append(row)
        return row

    def _add_convolution(self, layer: ConvBlock) -> None:
        row = self._add(CONVOLUTION, layer.input, layer.padding)
        row["outputs"], row["y_size"] = layer.output.channels, layer.output.size
        border = 2 - layer.padding  # so that a convolution of the gradient is as large as the input
        row["y_pitch"] = (row["y_size"] + 2 * border) * LANES
        row["y_plane"] = row["y_pitch"] * (row["y_size"] + 2 * border)
        row["y_corner"] = self._reserve(layer.channels * row["y_plane"])
        row["y"] = row["y_corner"] + border * (row["y_pitch"] + LANES)
        row["bias"] = row["w"] + 9 * row["inputs"] * layer.channels
        row["has_bias"] = int(layer.has_bias)
        row["gamma"] = row["bias"] + row["has_bias"] * layer.channels
        self._weights = row["gamma"] + 2 * layer.channels
        self._channels += layer.channels

    def _add_linear(self, layer: Linear) -> None:
        row = self._add(LINEAR, layer.input, 0)
        row["inputs"] *= row["size"] ** 2
        row["outputs"] = layer.outputs
        row["bias"] = row["w"] + row["inputs"] * layer.outputs
        self._weights = row["bias"] + layer.outputs
        self._masked += row["inputs"]

    def _reserve(self, count: int) -> int:
        self.size += count
        return self.size - count
