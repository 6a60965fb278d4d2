"""The fast path of a network: the memory that native code works on, and how it is called."""

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import binding
from torch import Tensor, nn

from digits.network.digitnet import DigitNet
from digits.network.fast import job as native
from digits.network.fast.register import LANES
from digits.network.fast.step import work
from digits.network.layers import ConvBlock, Layer, Linear, MaxPool, Shape

# OMP_NUM_THREADS, or the cores that this process may use; torch's own is set to one later
THREADS = min(native.SLICES, torch.get_num_threads())
MOMENTUM = 0.1  # of BatchNorm's running statistics, torch's default

# What native code knows of a layer. Places are indices into one octet's features, or into weights.
FIELDS = [
    "kind",
    "inputs", "outputs",  # channels, or features of a linear layer
    "size",  # width of what goes in, in pixels
    "window",  # width of the pool that follows
    "x", "pitch", "plane",  # first pixel of what goes in; steps to the next row and channel
    "y", "y_pitch", "y_plane",  # the same of the convolution's output, and later of its gradient
    "g",  # the gradient by what goes in, without padding
    "w", "bias",  # weights; after the bias of a convolution stand gamma and beta
    "channel", "mask",  # how many channels with BatchNorm, and features with dropout, come before
]  # fmt: skip


def is_supported(network: DigitNet) -> bool:
    """Whether this machine can train the network in native code: Linux on x86-64 with AVX2."""
    features = binding.get_host_cpu_features()
    weight = next(network.parameters())
    return (
        sys.platform == "linux"
        and all(features.get(name) for name in ("avx2", "fma"))
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and all(isinstance(layer, ConvBlock | MaxPool | Linear) for layer in network.layers)
    )


class FastPath:
    """Trains a network in place, whose weights become parts of one tensor.

    Images are floating point `(N, 1, 28, 28)`, normalised; N is at least 1. The same bits whatever
    the number of threads.
    """

    def __init__(
        self, network: DigitNet, first: Tensor, second: Tensor, threads: int = THREADS
    ) -> None:
        """Adam's moments are floating point `(weights,)`, in the order of the parameters."""
        self._norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
        plan = _Plan(network.layers)
        self._dtype, self._size, self._threads = first.dtype, plan.size, threads
        self._classes = int(plan.rows[-1]["inputs"])
        self.masked = [int(row["inputs"]) for row in plan.rows if row["kind"] == native.LINEAR]
        running = [each for norm in self._norms for each in (norm.running_mean, norm.running_var)]
        channels = sum(norm.num_features for norm in self._norms)
        self._net = native.Network(
            plan.rows,
            np.flatnonzero(plan.rows["kind"] == native.CONVOLUTION),
            _join(network.parameters()).numpy(),
            _join(each for each in running if each is not None).numpy(),
            first.numpy(),
            second.numpy(),
            self._zeros(0, self._size),
            self._zeros(native.SLICES, len(first)),
            np.zeros((native.SLICES, channels, 5)),
        )
        self._helpers = ThreadPoolExecutor(max(1, threads - 1))

    def train(
        self, images: Tensor, labels: Tensor, batch: int, masks: Tensor, rates: Tensor, decay: float
    ) -> Tensor:
        """Take a step for every `batch` of images.

        Args:
            images: the batches, one after the other; the last one may be smaller.
            labels: uint8 `(N,)`.
            batch: images of a step.
            masks: what dropout multiplies by, batch after batch and in it layer after layer:
                `(images of the batch, features)`, flat. Empty without dropout.
            rates: float64 `(steps, 3)`: the step size, the factor of the second moment's root,
                and beta1.
            decay: the weight decay.

        Returns:
            Logits `(N, 10)`, of the weights before each step.
        """
        return self._run(native.TRAIN, images, batch, MOMENTUM, labels, masks, rates, decay)

    def collect_statistics(self, images: Tensor, momentum: float) -> None:
        """Move the running statistics towards those of the images, as one batch."""
        self._run(native.STATISTICS, images, len(images), momentum)

    def classify(self, images: Tensor, batch: int = 128) -> Tensor:
        """Logits `(N, 10)`, with the running statistics and without dropout."""
        return self._run(native.CLASSIFY, images, batch, 0)

    def _run(
        self, mode: int, images: Tensor, batch: int, momentum: float, labels: Tensor | None = None,
        masks: Tensor | None = None, rates: Tensor | None = None, decay: float = 0,
    ) -> Tensor:  # fmt: skip
        octets = -(-min(batch, len(images)) // LANES)
        if len(self._net.features) < octets:
            self._net = self._net._replace(features=self._zeros(octets, self._size))
        nothing = torch.zeros(0, dtype=self._dtype)
        logits = torch.empty(len(images), self._classes, dtype=self._dtype)
        job = native.Job(
            mode,
            batch,
            images.flatten(1, 2).contiguous().numpy(),
            torch.zeros(0, dtype=torch.uint8).numpy() if labels is None else labels.numpy(),
            (nothing if masks is None else masks).numpy(),
            sum(self.masked),
            torch.zeros(0, 3, dtype=torch.float64).numpy() if rates is None else rates.numpy(),
            float(decay),
            float(momentum),
            logits.numpy(),
            np.zeros(2, np.int32),
        )
        others = [self._helpers.submit(work, self._net, job) for _ in range(self._threads - 1)]
        work(self._net, job)
        for other in others:
            other.result()
        if mode != native.CLASSIFY:
            for norm in self._norms:
                norm.num_batches_tracked += -(-len(images) // batch)  # pyright: ignore
        return logits

    def _zeros(self, *shape: int) -> npt.NDArray[np.floating]:
        return torch.zeros(shape, dtype=self._dtype).numpy()  # torch aligns memory to 64 bytes


class _Plan:
    """The records of a network's layers, and the places that they take."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.size = 0  # of an octet
        self._weights = self._channels = self._masked = 0
        self._rows = [dict.fromkeys(FIELDS, 0) | {"window": 1}]  # the images
        for layer in layers:
            if isinstance(layer, ConvBlock):
                self._add_convolution(layer)
            elif isinstance(layer, Linear):
                self._add_linear(layer)
            else:
                self._rows[-1]["window"] *= 2
        self._add(native.LOGITS, layers[-1].output, 0)
        self.rows = np.array(
            [tuple(row.values()) for row in self._rows], [(name, np.int64) for name in FIELDS]
        )

    def _add(self, kind: int, shape: Shape, padding: int) -> dict[str, int]:
        """A record with its input, zeros around it, and the gradient by it."""
        pitch = (shape.size + 2 * padding) * LANES
        plane = pitch * (shape.size + 2 * padding)
        row = dict.fromkeys(FIELDS, 0) | {
            "kind": kind, "inputs": shape.channels, "size": shape.size, "window": 1,
            "x": self._reserve(shape.channels * plane) + padding * (pitch + LANES),
            "pitch": pitch, "plane": plane,
            "g": self._reserve(shape.channels * shape.size**2 * LANES),
            "w": self._weights, "channel": self._channels, "mask": self._masked,
        }  # fmt: skip
        self._rows.append(row)
        return row

    def _add_convolution(self, layer: ConvBlock) -> None:
        row = self._add(native.CONVOLUTION, layer.input, 1)
        row["outputs"] = layer.channels
        row["y_pitch"] = row["pitch"]
        row["y_plane"] = row["plane"]
        row["y"] = self._reserve(layer.channels * row["plane"]) + row["pitch"] + LANES
        row["bias"] = row["w"] + 9 * row["inputs"] * layer.channels
        self._weights = row["bias"] + 3 * layer.channels
        self._channels += layer.channels

    def _add_linear(self, layer: Linear) -> None:
        row = self._add(native.LINEAR, layer.input, 0)
        row["inputs"] *= row["size"] ** 2
        row["outputs"] = layer.outputs
        row["bias"] = row["w"] + row["inputs"] * layer.outputs
        self._weights = row["bias"] + layer.outputs
        self._masked += row["inputs"]

    def _reserve(self, count: int) -> int:
        self.size += count
        return self.size - count


def _join(tensors: Iterable[Tensor]) -> Tensor:
    """One tensor of all of them, which become its parts."""
    tensors = list(tensors)
    whole = torch.cat([tensor.detach().flatten() for tensor in tensors])
    parts = whole.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.data = part.view(tensor.shape)
    return whole
