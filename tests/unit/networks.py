"""Small networks, drawn from a seed."""

import torch

from digits.core.config import Architecture
from digits.core.data_shape import MNIST, DataShape
from digits.network.digitnet import DigitNet

Blocks = list[int | str]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(
    blocks: Blocks,
    hidden: int | None = None,
    dropout: float = 0,
    seed: int = 0,
    bias_free: bool = False,
    shape: DataShape = MNIST,
) -> DigitNet:
    architecture = Architecture(blocks=blocks, hidden=hidden, dropout=dropout, bias_free=bias_free)
    return DigitNet(architecture, seeded(seed), shape)


def trained(blocks: Blocks, hidden: int | None = None, seed: int = 0) -> DigitNet:
    """In evaluation mode, with a BatchNorm that is not the identity, as after training."""
    return with_statistics(network(blocks, hidden, 0.4, seed), seed)


def with_statistics(made: DigitNet, seed: int = 0) -> DigitNet:
    """The network in evaluation mode, with a BatchNorm that is not the identity."""
    rng = seeded(seed)
    for name, value in made.state_dict().items():
        if name.startswith("bn") and value.is_floating_point():
            value.uniform_(0.5, 2, generator=rng)
            if name.endswith(("bias", "mean")):
                value.sub_(1.2)
    return made.eval()
