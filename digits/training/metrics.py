"""Loss, accuracy and temperature; metric names are defined only here."""

import torch
import torch.nn.functional as F

Metrics = dict[str, float]

COLDEST, HOTTEST = 0.1, 10.0  # temperatures
ENOUGH = 10  # errors; with fewer, the lowest cross-entropy is that of certainty, whatever is shown
STEPS = 40  # of bisection


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


def temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """What to divide logits by so that their softmax has the lowest cross-entropy; four digits.

    Calibrates probabilities, as On Calibration of Modern Neural Networks, Guo et al. 2017
    (arXiv:1706.04599). The cross-entropy is convex in the reciprocal, so its slope has one zero.

    Args:
        logits: float32 `(N, classes)` of images that were not trained on. With fewer than ten
            errors among them, there is nothing to calibrate by, and the temperature is 1.
        labels: uint8 or int64 `(N,)`.
    """
    exact, right = logits.double(), labels.long()
    if (exact.argmax(1) != right).sum() < ENOUGH:
        return 1.0
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(STEPS):
        middle = (low + high) / 2
        expected = (F.softmax(middle * exact, 1) * exact).sum(1)
        slope = (expected - exact.gather(1, right[:, None])[:, 0]).mean()
        low, high = (low, middle) if slope > 0 else (middle, high)
    return round(1 / high, 4)
