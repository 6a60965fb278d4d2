"""Score the trained network on the test split, all of it, once.

Reads models/model.safetensors, data/prepared/test.safetensors and `download.source` of params.yaml.
Compares `model`, `augment`, `train` and the other two splits with models/origin.json; takes the
temperature from metrics/train.json. Writes metrics/evaluate.json and, in plots/, confusion.csv,
classes.csv, reliability.csv, worst_errors.png, training_data.png and augmentation.png.

With --model, scores another network and writes nothing.
"""

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from digits import pretrained
from digits.core import config, files, split
from digits.core.entry_point import run_stage
from digits.core.errors import UserError
from digits.core.split import Split
from digits.network import model_file, model_origin
from digits.network.digitnet import DigitNet
from digits.reporting import galleries
from digits.reporting.calibration import calibration_error, reliability
from digits.reporting.tables import confusion, per_class, wilson_interval
from digits.training.metrics import measure
from stages import paths


def calibrate(logits: torch.Tensor, labels: torch.Tensor, divisor: float) -> dict[str, float]:
    """Write the table of reliability; returns the calibration errors."""
    calibrated = reliability(logits, labels, divisor)
    files.write(paths.RELIABILITY, calibrated.to_csv(index=False).encode())
    return {
        "calibration_error": calibration_error(calibrated),
        "calibration_error_without": calibration_error(reliability(logits, labels, 1)),
    }


def test_files() -> list[str]:
    """The file of every test image, if the user's own pictures were read."""
    table = pd.read_csv(paths.FILES, keep_default_na=False)
    return table.query("split == 'test'")["file"].tolist()


def scores(
    path: Path, network: DigitNet, test: Split, logits: torch.Tensor, by_class: pd.DataFrame
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metrics of the network in a file: those to decide by, and details.

    Raises:
        UserError: the loss is not finite.
    """
    metrics, errors = measure(logits, test.labels), sum(by_class["errors"].tolist())
    low, high = wilson_interval(len(test) - errors, len(test))
    if not math.isfinite(metrics["loss"]):
        raise UserError(f"{path}: its loss on {paths.TEST} is {metrics['loss']}; train it again")
    count = sum(parameter.numel() for parameter in network.parameters())
    return {"errors": errors, **metrics, "parameters": count}, {
        "examples": len(test),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": by_class["recall"].mean(),
    }


def recall_of(by_class: pd.DataFrame) -> dict[str, float]:
    """The recall of each class, from `per_class`'s table."""
    return dict(zip(by_class["class"], by_class["recall"].tolist(), strict=True))


def check_test(path: Path, network: DigitNet, test: Split) -> None:
    """Refuse a test split that is empty or of another shape than the network of a file reads.

    Raises:
        UserError: it is.
    """
    model_file.check_shape(path, network, test)
    if not len(test):
        raise UserError(f"{paths.TEST}: holds no images, so there is nothing to evaluate")


def misread(test: Split, logits: torch.Tensor, names: list[str]) -> dict[str, Any]:
    """The test images' digest, and which were misread: their numbers, and their files if any."""
    content = test.images.numpy().tobytes() + test.labels.numpy().tobytes()
    wrong = (logits.argmax(1) != test.labels).nonzero().flatten()
    found = {"test_sha256": hashlib.sha256(content).hexdigest(), "misread": wrong.tolist()}
    if names:
        found["misread_files"] = [names[place] for place in wrong.tolist()]
    return found


def summary(metrics: dict[str, Any]) -> str:
    """The result in a line."""
    low, high = 100 * metrics["accuracy_low"], 100 * metrics["accuracy_high"]
    return (
        f"evaluate: {100 * metrics['accuracy']:.2f} % of {metrics['examples']:,} test images right "
        f"(95 % interval {low:.2f} to {high:.2f} %; mean over classes "
        f"{100 * metrics['balanced_accuracy']:.2f} %), {metrics['parameters']:,} parameters"
    )


def score_other(path: Path) -> None:
    """Score this model file or Hub folder instead, print the result as JSON, write nothing."""
    torch.set_num_threads(1)  # more would change bits
    model, test = pretrained.load(path), split.load(paths.TEST)
    check_test(path, model.network, test)

    logits = model(test.images)
    by_class = per_class(confusion(logits.argmax(1), test.labels, test.shape.classes))
    shown, details = scores(path, model.network, test, logits, by_class)
    print(json.dumps({**shown, **details, "recall": recall_of(by_class)}, indent=2))
    print(summary(shown | details), file=sys.stderr)


def main() -> None:
    parameters = config.read(paths.PARAMETERS)
    torch.set_num_threads(1)  # more would change bits

    network, normalisation = model_file.load(paths.MODEL)
    sections = [parameters.model, parameters.augment, parameters.train]
    model_origin.check(paths.ORIGIN, paths.MODEL, sections, paths.TRAINED_ON)
    train, test = (split.load(path, normalisation) for path in (paths.TRAIN, paths.TEST))
    check_test(paths.MODEL, network, test)

    logits = model_file.classify(network, test.images, normalisation)
    matrix = confusion(logits.argmax(1), test.labels, test.shape.classes)
    by_class = per_class(matrix)
    shown, details = scores(paths.MODEL, network, test, logits, by_class)

    temperature = files.read_metrics(paths.TRAIN_METRICS)["temperature"]
    names = test_files()
    files.write(paths.CONFUSION, matrix.to_csv(index=False).encode())
    files.write(paths.CLASSES, by_class.to_csv(index=False).encode())
    files.write(paths.WORST_ERRORS, galleries.draw_errors(test, logits, names))
    files.write(paths.TRAINING_DATA, galleries.draw_training_data(train))
    files.write(paths.AUGMENTATION, galleries.draw_augmentation(test, parameters.augment))
    details = {
        "dataset": parameters.download.source,
        "validation_examples": len(split.load(paths.VALIDATION, normalisation)),
        "image_size": test.shape.size,
        "channels": test.shape.channels,
        "classes": len(test.shape.classes),
        **details,
        **calibrate(logits, test.labels, temperature),
        "parameter_budget": parameters.model.parameter_budget,
        "recall": recall_of(by_class),
        **misread(test, logits, names),
    }
    files.write_metrics(paths.TEST_METRICS, shown, details)
    print(summary(shown | details), file=sys.stderr)


if __name__ == "__main__":
    run_stage(main, model=score_other)
