"""Which digit was taken for which, and how sure the accuracy is."""

import pandas as pd
import torch
from scipy.stats import binomtest

DIGITS = range(10)


def confusion(predicted: torch.Tensor, labels: torch.Tensor) -> pd.DataFrame:
    """How often each digit was given each name.

    Args:
        predicted: integer `(N,)`, 0 to 9.
        labels: integer `(N,)`, 0 to 9.

    Returns:
        100 rows of actual, predicted, count, in order; the counts add up to N.
    """
    counts = torch.bincount(labels.long() * 10 + predicted.long(), minlength=100).tolist()
    pairs = [(actual, guess) for actual in DIGITS for guess in DIGITS]
    table = pd.DataFrame(pairs, columns=["actual", "predicted"])
    return table.assign(count=counts)


def per_digit(table: pd.DataFrame) -> pd.DataFrame:
    """Examples, errors, recall and error rate in percent of each digit, from `confusion`'s table.

    A digit without examples is left out.
    """
    examples = table.groupby("actual")["count"].sum()
    correct = table[table["actual"] == table["predicted"]].set_index("actual")["count"]
    digits = pd.DataFrame({"examples": examples, "errors": examples - correct})
    digits = digits[digits["examples"] > 0]
    digits["recall"] = 1 - digits["errors"] / digits["examples"]
    digits["error_percent"] = 100 * digits["errors"] / digits["examples"]
    return digits.round(6).rename_axis("digit").reset_index()


def wilson_interval(correct: int, examples: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of an accuracy (Wilson 1927), as two shares."""
    interval = binomtest(correct, examples).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
