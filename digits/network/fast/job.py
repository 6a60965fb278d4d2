"""What native code works on, as tuples that Numba can take apart."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digits.network.fast.register import LANES, Array, inlined

IMAGES, CONVOLUTION, LINEAR, LOGITS = range(4)  # kinds of records in a plan
TRAIN, STATISTICS, CLASSIFY = range(3)  # modes of a job
SLICES = 8  # of a batch; their sums are added in this order, whoever computed them
EPS = 1e-5  # BatchNorm's

Clock = npt.NDArray[np.int32]  # slices begun, slices done


class Network(NamedTuple):
    """A network and the memory that its training takes; path.py makes it."""

    plan: Any  # NumPy records: one for the images, for each layer, and for the logits
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
    images: Array  # (N, height, width)
    labels: npt.NDArray[np.uint8]  # (N,)
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
def lanes_used(piece: Piece, octet: int) -> int:
    """How many lanes of an octet hold an image: all, except in the last one."""
    return min(LANES, piece.images - octet * LANES)
