"""Score the trained network on the test split, all of it, once.

Reads models/model.safetensors, data/prepared/test.safetensors and, of params.yaml,
`download.source`, `model.parameter_budget` and `augment`. Writes
metrics/evaluate.json and, in plots/, confusion.csv, digits.csv, worst_errors.png and
augmentation.png.
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from stages.lib import files, model, parameters, pictures, splits
from stages.lib.alone import run_stage
from stages.lib.augment import augment
from stages.lib.confusion import confusion, per_digit, wilson_interval
from stages.lib.errors import UserError
from stages.lib.parameters import Augment
from stages.lib.scores import score
from stages.lib.splits import Split

PARAMETERS = Path("params.yaml")
MODEL = Path("models/model.safetensors")
TEST = Path("data/prepared/test.safetensors")
METRICS = Path("metrics/evaluate.json")
PLOTS = Path("plots")

ERRORS_SHOWN = 40
MOVES_SHOWN = 9


def picture_errors(test: Split, logits: torch.Tensor) -> bytes:
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


def picture_augmentation(test: Split, moves: Augment) -> bytes:
    """The first example of each digit beside its augmented versions, as PNG."""
    first = torch.stack([(test.labels == digit).nonzero()[0, 0] for digit in test.labels.unique()])
    originals = test.images[first]
    repeated = originals.unsqueeze(1).float().repeat_interleave(MOVES_SHOWN, 0)
    moved = augment(repeated, moves, torch.Generator().manual_seed(0))
    strengths = {
        "rotation": f"{moves.rotation:g}°",
        "translation": f"{100 * moves.translation:g} %",
        "scale": f"{100 * moves.scale:g} %",
        "shear": f"{moves.shear:g}°",
    }
    said = [f"{name} ±{value}" for name, value in strengths.items() if getattr(moves, name)]
    title = ", ".join(said).capitalize() or "No augmentation"
    rows = moved.view(len(first), MOVES_SHOWN, *originals.shape[1:])
    return pictures.augmented(originals, rows, title)


def main() -> None:
    chosen = parameters.read(PARAMETERS)
    torch.set_num_threads(1)  # more would change bits

    network, normalisation = model.load(MODEL)
    test = splits.load(TEST)
    if not len(test):
        raise UserError(f"{TEST}: holds no images, so there is nothing to evaluate")

    logits = model.predict(network, test.images, normalisation)
    table = confusion(logits.argmax(1), test.labels)
    digits = per_digit(table)
    examples, errors = len(test), int((logits.argmax(1) != test.labels).sum())
    low, high = wilson_interval(examples - errors, examples)
    scores = score(logits, test.labels)
    if not math.isfinite(scores["loss"]):
        raise UserError(f"{MODEL}: its loss on {TEST} is {scores['loss']}; `dvc repro` remakes it")

    files.write(PLOTS / "confusion.csv", table.to_csv(index=False).encode())
    files.write(PLOTS / "digits.csv", digits.to_csv(index=False).encode())
    files.write(PLOTS / "worst_errors.png", picture_errors(test, logits))
    files.write(PLOTS / "augmentation.png", picture_augmentation(test, chosen.augment))
    metrics = {
        "dataset": chosen.download.source,
        "examples": examples,
        "errors": errors,
        **scores,
        "accuracy_low": low,
        "accuracy_high": high,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "parameter_budget": chosen.model.parameter_budget,
        "recall": dict(zip(digits["digit"].astype(str), digits["recall"].tolist(), strict=True)),
    }
    files.write_json(METRICS, metrics)
    print(
        f"evaluate: {100 * scores['accuracy']:.2f} % of {examples:,} test images right "
        f"(95 % interval {100 * low:.2f} to {100 * high:.2f} %), "
        f"{metrics['parameters']:,} parameters",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_stage(main)
