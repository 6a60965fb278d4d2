"""Score the trained network on the test split, all of it, once.

Reads models/model.safetensors, data/prepared/test.safetensors and `download.source` of params.yaml.
Compares `model`, `augment`, `train` and the other two splits with models/origin.json; takes the
temperature from metrics/train.json. Writes metrics/evaluate.json and, in plots/, confusion.csv,
digits.csv, reliability.csv, worst_errors.png and augmentation.png.
"""

import math
import sys
from typing import Any

import torch
import torch.nn.functional as F

from digits.core import config, files, split
from digits.core.config import Augmentation
from digits.core.entry_point import run_stage
from digits.core.errors import UserError
from digits.core.split import Split
from digits.network import model_file, model_origin
from digits.reporting import pictures
from digits.reporting.calibration import calibration_error, reliability
from digits.reporting.tables import confusion, per_digit, wilson_interval
from digits.training.augment import augment
from digits.training.metrics import measure
from stages import paths

ERRORS_SHOWN = 40
VERSIONS_SHOWN = 9  # augmented, of each digit


def draw_errors(test: Split, logits: torch.Tensor) -> bytes:
    """The misread digits of highest loss, as PNG."""
    losses = F.cross_entropy(logits, test.labels.long(), reduction="none")
    predicted = logits.argmax(1)
    wrong = (predicted != test.labels).nonzero().flatten()
    worst = wrong[losses[wrong].argsort(descending=True, stable=True)][:ERRORS_SHOWN]
    return pictures.worst_errors(
        test.images[worst],
        test.labels[worst].tolist(),
        predicted[worst].tolist(),
        losses[worst].tolist(),
    )


def draw_augmentation(test: Split, augmentation: Augmentation) -> bytes:
    """The first example of each digit beside its augmented versions, as PNG."""
    first = torch.stack([(test.labels == digit).nonzero()[0, 0] for digit in test.labels.unique()])
    originals = test.images[first]
    repeated = originals.unsqueeze(1).float().repeat_interleave(VERSIONS_SHOWN, 0)
    augmented = augment(repeated, augmentation, torch.Generator().manual_seed(0))
    rows = augmented.view(len(first), VERSIONS_SHOWN, *originals.shape[1:])
    title = str(augmentation).capitalize() or "No augmentation"
    return pictures.augmented(originals, rows, title)


def calibrate(logits: torch.Tensor, labels: torch.Tensor, divisor: float) -> dict[str, float]:
    """Write the table of reliability; returns the calibration errors."""
    calibrated = reliability(logits, labels, divisor)
    files.write(paths.RELIABILITY, calibrated.to_csv(index=False).encode())
    return {
        "calibration_error": calibration_error(calibrated),
        "calibration_error_without": calibration_error(reliability(logits, labels, 1)),
    }


def summary(metrics: dict[str, Any]) -> str:
    """The result in a line."""
    low, high = 100 * metrics["accuracy_low"], 100 * metrics["accuracy_high"]
    return (
        f"evaluate: {100 * metrics['accuracy']:.2f} % of {metrics['examples']:,} test images right "
        f"(95 % interval {low:.2f} to {high:.2f} %), {metrics['parameters']:,} parameters"
    )


def main() -> None:
    parameters = config.read(paths.PARAMETERS)
    torch.set_num_threads(1)  # more would change bits

    network, normalisation = model_file.load(paths.MODEL)
    sections = [parameters.model, parameters.augment, parameters.train]
    model_origin.check(paths.ORIGIN, paths.MODEL, sections, paths.TRAINED_ON)
    test = split.load(paths.TEST, normalisation)
    if not len(test):
        raise UserError(f"{paths.TEST}: holds no images, so there is nothing to evaluate")

    logits = model_file.classify(network, test.images, normalisation)
    metrics = measure(logits, test.labels)
    table = confusion(logits.argmax(1), test.labels)
    digits = per_digit(table)
    examples, errors = len(test), int((logits.argmax(1) != test.labels).sum())
    low, high = wilson_interval(examples - errors, examples)
    if not math.isfinite(metrics["loss"]):
        raise UserError(
            f"{paths.MODEL}: its loss on {paths.TEST} is {metrics['loss']}; run `dvc repro` again"
        )

    temperature = files.read_metrics(paths.TRAIN_METRICS)["temperature"]
    calibration = calibrate(logits, test.labels, temperature)

    files.write(paths.CONFUSION, table.to_csv(index=False).encode())
    files.write(paths.DIGITS, digits.to_csv(index=False).encode())
    files.write(paths.WORST_ERRORS, draw_errors(test, logits))
    files.write(paths.AUGMENTATION, draw_augmentation(test, parameters.augment))
    count = sum(parameter.numel() for parameter in network.parameters())
    details = {
        "dataset": parameters.download.source,
        "examples": examples,
        "accuracy_low": low,
        "accuracy_high": high,
        **calibration,
        "parameter_budget": parameters.model.parameter_budget,
        "recall": dict(zip(digits["digit"].astype(str), digits["recall"].tolist(), strict=True)),
    }
    shown = {"errors": errors, **metrics, "parameters": count}
    files.write_metrics(paths.TEST_METRICS, shown, details)
    print(summary(shown | details), file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
