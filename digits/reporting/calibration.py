"""Whether probabilities are what they say: of digits read with 90 %, are 90 % right?

The expected calibration error is that of On Calibration of Modern Neural Networks, Guo et al. 2017
(arXiv:1706.04599).
"""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

BINS = 10  # of the probability


def reliability(logits: torch.Tensor, labels: torch.Tensor, divisor: float) -> pd.DataFrame:
    """How often digits that were read with about the same probability are right.

    Returns:
        A row for each tenth of the probability that has digits, with their mean `probability`, the
        share that is right as `accuracy`, and `count`; rounded to four digits.
    """
    probability, digit = F.softmax(logits.double() / divisor, 1).max(1)
    is_right = (digit == labels).double()
    tenth = (probability * BINS).long().clamp(max=BINS - 1)
    rows = [
        (probability[part].mean().item(), is_right[part].mean().item(), int(part.sum()))
        for part in (tenth == number for number in tenth.unique())
    ]
    return pd.DataFrame(rows, columns=["probability", "accuracy", "count"]).round(4)


def calibration_error(table: pd.DataFrame) -> float:
    """The expected calibration error: mean distance of probability and accuracy, 0 to 1."""
    distances = (table["probability"] - table["accuracy"]).abs().to_numpy()
    return round(float(np.average(distances, weights=table["count"].to_numpy())), 5)
