"""The confusion matrix, errors by class, the interval of an accuracy, and Markdown."""

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

import pandas as pd
import torch

WHOLE = 30  # classes; of more, only the cells of the confusion matrix that are not 0


def confusion(
    predicted: torch.Tensor, labels: torch.Tensor, classes: Sequence[str]
) -> pd.DataFrame:
    """How often each class was predicted as each.

    Args:
        predicted: integer `(N,)`, places in `classes`.
        labels: the same.
        classes: their names.

    Returns:
        Rows of actual, predicted, count, in order; the counts add up to N.
    """
    size = len(classes)
    counts = torch.bincount(labels.long() * size + predicted.long(), minlength=size**2).tolist()
    shown = [cell for cell, count in enumerate(counts) if count or size <= WHOLE]
    return pd.DataFrame(
        {
            "actual": [classes[cell // size] for cell in shown],
            "predicted": [classes[cell % size] for cell in shown],
            "count": [counts[cell] for cell in shown],
        }
    )


def per_class(table: pd.DataFrame) -> pd.DataFrame:
    """Examples, errors, recall and error rate in percent of each class, from `confusion`'s table.

    A class without examples is omitted.
    """
    examples = table.groupby("actual", sort=False)["count"].sum()
    wrong = table["count"].where(table["actual"] != table["predicted"], 0)
    errors = wrong.groupby(table["actual"], sort=False).sum()
    classes = pd.DataFrame({"examples": examples, "errors": errors})
    classes = classes[classes["examples"] > 0]
    classes["recall"] = 1 - classes["errors"] / classes["examples"]
    classes["error_percent"] = 100 * classes["errors"] / classes["examples"]
    return classes.round(6).rename_axis("class").reset_index()


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
