"""The fast path of a network: the memory that native code works on, and how it is called."""

import gc
import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import binding
from torch import Tensor, nn

from digits.network.digitnet import DigitNet
from digits.network.fast import job as native
from digits.network.fast.register import LANES
from digits.network.fast.step import work
from digits.network.layers import ConvBlock, GlobalAveragePool, Linear, MaxPool

# OMP_NUM_THREADS, or the cores that this process may use; torch's own is set to one later
THREADS = min(native.SLICES, torch.get_num_threads())
MOMENTUM = 0.1  # of BatchNorm's running statistics, torch's default


def is_supported(network: DigitNet) -> bool:
    """Whether this machine can train the network in native code: Linux on x86-64 with AVX2."""
    features = binding.get_host_cpu_features()
    weight, kinds = next(network.parameters()), [type(layer) for layer in network.layers]
    return (
        sys.platform == "linux"
        and all(features.get(name) for name in ("avx2", "fma"))
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and set(kinds) <= {ConvBlock, MaxPool, GlobalAveragePool, Linear}
        and not (
            GlobalAveragePool in kinds and ConvBlock in kinds[kinds.index(GlobalAveragePool) :]
        )
    )


class FastPath:
    """Trains a network in place, whose weights become parts of one tensor.

    Images are floating point `(N, channels, H, W)`, normalised; N is at least 1. The same bits
    whatever the number of threads. `train` leaves the work to the other threads, so that the caller
    can prepare the next images meanwhile; `finish` helps them and waits.
    """

    def __init__(
        self, network: DigitNet, first: Tensor, second: Tensor, threads: int = THREADS
    ) -> None:
        """Adam's moments are floating point `(weights,)`, in the order of the parameters."""
        self._norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
        plan = native.Plan(network.layers)
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
        self._running: tuple[native.Job, list[Future[None]]] | None = None

    def train(
        self, images: Tensor, labels: Tensor, batch: int, masks: Tensor, rates: Tensor, decay: float
    ) -> Tensor:
        """Start to take a step for every `batch` of images.

        Args:
            images: the batches, one after the other; the last one may be smaller.
            labels: integer `(N,)`.
            batch: images of a step.
            masks: what dropout multiplies by, batch after batch and in it layer after layer:
                `(images of the batch, features)`, flat. Empty without dropout.
            rates: float64 `(steps, 3)`: the step size, the factor of the second moment's root,
                and beta1.
            decay: the weight decay.

        Returns:
            Logits `(N, classes)`, of the weights before each step. They and the network are ready
            after `finish`.
        """
        return self._start(native.TRAIN, images, batch, MOMENTUM, labels, masks, rates, decay)

    def collect_statistics(self, images: Tensor, momentum: float) -> None:
        """Move the running statistics towards those of the images, as one batch."""
        self._start(native.STATISTICS, images, len(images), momentum)
        self.finish()

    def classify(self, images: Tensor, batch: int = 128) -> Tensor:
        """Logits `(N, classes)`, with the running statistics and without dropout."""
        logits = self._start(native.CLASSIFY, images, batch, 0)
        self.finish()
        return logits

    def finish(self) -> None:
        """Work on what was started until it is done."""
        if self._running:
            job, others = self._running
            work(self._net, job)
            for other in others:
                other.result()
            self._running = None
            gc.enable()

    def _start(
        self, mode: int, images: Tensor, batch: int, momentum: float, labels: Tensor | None = None,
        masks: Tensor | None = None, rates: Tensor | None = None, decay: float = 0,
    ) -> Tensor:  # fmt: skip
        self.finish()
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
        if not work.signatures:
            gc.disable()  # takes a tenth of the time that compiling takes
        others = [self._helpers.submit(work, self._net, job) for _ in range(self._threads - 1)]
        self._running = job, others
        if mode != native.CLASSIFY:
            for norm in self._norms:
                norm.num_batches_tracked += -(-len(images) // batch)  # pyright: ignore
        return logits

    def _zeros(self, *shape: int) -> npt.NDArray[np.floating]:
        return torch.zeros(shape, dtype=self._dtype).numpy()  # torch aligns memory to 64 bytes


def _join(tensors: Iterable[Tensor]) -> Tensor:
    """One tensor of all of them, which become its parts."""
    tensors = list(tensors)
    whole = torch.cat([tensor.detach().flatten() for tensor in tensors])
    parts = whole.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.data = part.view(tensor.shape)
    return whole
