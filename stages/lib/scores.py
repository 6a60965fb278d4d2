"""What logits are worth; the names of the metrics have their home here."""

import torch
import torch.nn.functional as F


def score(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Loss and accuracy over all examples, each counted once.

    Args:
        logits: float32 `(N, 10)`, N at least 1.
        labels: uint8 or int64 `(N,)`.

    Returns:
        loss: the mean cross-entropy in nats. accuracy: the share of labels predicted, 0 to 1.
    """
    targets = labels.long()
    return {
        "loss": F.cross_entropy(logits.double(), targets).item(),
        "accuracy": (logits.argmax(1) == targets).double().mean().item(),
    }
