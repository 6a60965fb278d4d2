"""The confusion matrix, errors by class, the interval of an accuracy, and Markdown."""

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

import pandas as pd
import torch

from digits.core.data_shape import CLASSES


def confusion(predicted: torch.Tensor, labels: torch.Tensor) -> pd.DataFrame:
    """How often each class was predicted as each.

    Args:
        predicted: integer `(N,)`, 0 to 9.
        labels: integer `(N,)`, 0 to 9.

    Returns:
        100 rows of actual, predicted, count, in order; the counts add up to N.
    """
    cells = labels.long() * CLASSES + predicted.long()
    counts = torch.bincount(cells, minlength=CLASSES**2).tolist()
    pairs = [(actual, guess) for actual in range(CLASSES) for guess in range(CLASSES)]
    return pd.DataFrame(pairs, columns=["actual", "predicted"]).assign(count=counts)


def per_digit(table: pd.DataFrame) -> pd.DataFrame:
    """Examples, errors, recall and error rate in percent of each digit, from `confusion`'s table.

    A digit without examples is omitted.
    """
    examples = table.groupby("actual")["count"].sum()
    correct = table[table["actual"] == table["predicted"]].set_index("actual")["count"]
    digits = pd.DataFrame({"examples": examples, "errors": examples - correct})
    digits = digits[digits["examples"] > 0]
    digits["recall"] = 1 - digits["errors"] / digits["examples"]
    digits["error_percent"] = 100 * digits["errors"] / digits["examples"]
    return digits.round(6).rename_axis("digit").reset_index()


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, every column but the first aligned to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def wilson_interval(correct: int, examples: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of an accuracy (Wilson 1927), as two shares.

    scipy.stats has it too, but takes longer to import than the rest of the stage takes to run.
    """
    share, z = correct / examples, NormalDist().inv_cdf(0.975)
    shrink = 1 + z**2 / examples
    centre = (share + z**2 / (2 * examples)) / shrink
    half = z * math.sqrt(share * (1 - share) / examples + (z / (2 * examples)) ** 2) / shrink
    return max(0.0, centre - half), min(1.0, centre + half)
