"""Loss and accuracy; metric names are defined only here."""

import torch
import torch.nn.functional as F

Metrics = dict[str, float]


def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy in nats, which training minimises: a scalar of the logits' dtype.

    network/fast/backward.py has its gradient once more, for the fast path.

    Args:
        logits: floating point `(N, 10)`, N at least 1.
        labels: uint8 or int64 `(N,)`.
    """
    return F.cross_entropy(logits, labels.long())


def measure(logits: torch.Tensor, labels: torch.Tensor) -> Metrics:
    """Every metric over all examples, each counted once.

    Args:
        logits: float32 `(N, 10)`, N at least 1.
        labels: uint8 or int64 `(N,)`.

    Returns:
        loss: the mean cross-entropy in nats. accuracy: the share of correct predictions, 0 to 1.
    """
    return {
        "loss": loss(logits.double(), labels).item(),
        "accuracy": (logits.argmax(1) == labels).double().mean().item(),
    }
