"""Train the network; the test split is not among the inputs.

Reads data/prepared/{train,validation}.safetensors and `model`, `augment`, `train` of
params.yaml. Writes models/model.safetensors, models/origin.json (what it was trained with),
metrics/train.json, metrics/environment.json and, after every epoch, plots/learning_curves.csv and
checkpoints/train.safetensors, from which the next run resumes if it is the same.
"""

import sys
from collections.abc import Mapping

import torch
from tqdm import tqdm

from digits.core import config, files, split
from digits.core.entry_point import run_stage
from digits.core.split import Split
from digits.network import model_file, model_origin
from digits.network.digitnet import check_budget, pick_device
from digits.training import environment
from digits.training.checkpoint import Checkpoint, Epoch, key_of
from digits.training.loop import train_network
from digits.training.metrics import temperature
from stages import paths


def write_curves(history: list[Epoch]) -> None:
    """A row for each epoch; not with pandas, which takes a third of a second and 30 MB."""
    rows = [["" if value is None else f"{value:.6g}" for value in row.values()] for row in history]
    table = "".join(",".join(row) + "\n" for row in [list(history[0]), *rows])
    files.write(paths.CURVES, table.encode())


def progress(epoch: Mapping[str, int | float | None]) -> str:
    """Loss and accuracy after an epoch, in a few words."""
    return ", ".join(
        f"{kind} loss {epoch[f'{kind}_loss']:.4f}, {100 * (epoch[f'{kind}_accuracy'] or 0):.2f} %"
        for kind in ("train", "validation")
        if epoch.get(f"{kind}_loss") is not None
    )


def fit_temperature(validation: Split) -> float:
    """The temperature that calibrates the model that was written, on the CPU."""
    torch.set_num_threads(1)  # more would change bits
    network, normalisation = model_file.load(paths.MODEL)
    logits = model_file.classify(network, validation.images, normalisation)
    return temperature(logits, validation.labels)


def main() -> None:
    parameters = config.read(paths.PARAMETERS)
    device = pick_device(parameters.train.device)

    train = split.load(paths.TRAIN)
    count = check_budget(parameters.model, shape=train.shape)
    validation = split.load(paths.VALIDATION, train.normalisation)
    sections = [parameters.model, parameters.augment, parameters.train]
    checkpoint = Checkpoint(paths.CHECKPOINT, key_of(sections, [train, validation], device))

    with tqdm(total=parameters.train.epochs, unit="epoch", disable=None) as bar:

        def after_epoch(history: list[Epoch]) -> None:
            write_curves(history)
            line = progress(history[-1])
            if bar.disable:  # not on a terminal: a line for each epoch
                print(f"train: epoch {len(history)} of {bar.total}: {line}", file=sys.stderr)
            else:
                bar.set_postfix_str(line)
            bar.update(len(history) - bar.n)

        network, history = train_network(
            parameters, train.to(device), validation.to(device), after_epoch, checkpoint
        )

    model_file.save(paths.MODEL, network, train.normalisation)
    model_origin.save(paths.ORIGIN, paths.MODEL, sections, paths.TRAINED_ON)
    last = {name: value for name, value in history[-1].items() if value is not None}
    last["temperature"] = fit_temperature(validation)
    chosen_by = {name: last[name] for name in ["validation_accuracy"] if name in last}
    files.write_metrics(paths.TRAIN_METRICS, {"parameters": count, **chosen_by}, last)
    files.write_metrics(paths.ENVIRONMENT, {}, environment.describe(device))
    print(f"train: {count:,} parameters, {progress(last)}", file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
