"""Train the network; the test split is not among the inputs.

Reads data/prepared/{train,validation}.safetensors and `model`, `augment`, `train` of
params.yaml. Writes models/model.safetensors, metrics/train.json, metrics/environment.json and,
after every epoch, plots/learning_curves.csv. A run that is stopped leaves
checkpoints/train.safetensors; the next one goes on from there, and removes it at the end.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from tqdm import tqdm

from stages.lib import environment, files, model, parameters, splits
from stages.lib.alone import run_stage
from stages.lib.augment import batches
from stages.lib.calibration import calibrate
from stages.lib.checkpoint import Checkpoint, Row, bytes_needed, key_of
from stages.lib.errors import UserError
from stages.lib.fused import prepare_processor
from stages.lib.model import DigitNet
from stages.lib.optimizer import Adam
from stages.lib.parameters import IMAGE_SIZE, Architecture, Augment, Parameters, Train
from stages.lib.scores import score
from stages.lib.splits import Split

PARAMETERS = Path("params.yaml")
PREPARED = Path("data/prepared")
MODEL = Path("models/model.safetensors")
METRICS = Path("metrics/train.json")
ENVIRONMENT = Path("metrics/environment.json")
CURVES = Path("plots/learning_curves.csv")
CHECKPOINT = Path("checkpoints/train.safetensors")


def train_recipe(
    recipe: Parameters,
    train: Split,
    validation: Split,
    after_epoch: Callable[[list[Row]], None] = lambda history: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[DigitNet, list[Row]]:
    """Draw a network and `fit` it, both from one generator with the recipe's seed.

    Returns the network, on the device of the splits, and the rows of `fit`.
    """
    device, shape = train.images.device, recipe.model
    generator = torch.Generator(device).manual_seed(recipe.train.seed)
    with device:
        network = DigitNet(shape.blocks, shape.hidden, shape.dropout, generator)
    history = fit(
        network, train, validation, recipe.augment, recipe.train, generator, after_epoch, checkpoint
    )
    return network, history


def fit(
    network: DigitNet,
    train: Split,
    validation: Split,
    moves: Augment,
    chosen: Train,
    generator: torch.Generator,
    after_epoch: Callable[[list[Row]], None] = lambda history: None,
    checkpoint: Checkpoint | None = None,
) -> list[Row]:
    """Train `network` in place with Adam under a one-cycle learning rate.

    Args:
        network: on the device of the splits and of `generator`.
        train: at least one batch of images.
        validation: scored after every epoch; may be empty.
        moves: how far training images are moved.
        chosen: the optimizer and its schedule.
        generator: draws the order, the moves and the dropout masks.
        after_epoch: called with the history so far.
        checkpoint: where to begin, if it is of this run, and what to keep up to date.

    Returns:
        One row per epoch: epoch (from 1), learning_rate of its last step, train_loss and
        train_accuracy over the augmented images as they were trained on, validation_loss
        and validation_accuracy (None without validation images).

    Raises:
        UserError: the weights are no longer finite, the last batch is too small to normalise,
            or there are too few steps for the schedule.
    """
    check_size(len(train), chosen, network.architecture)
    prepare_processor()
    network.to(memory_format=torch.channels_last)
    steps = chosen.epochs * math.ceil(len(train) / chosen.batch_size)
    optimizer = Adam(network.parameters(), chosen, steps)
    history = checkpoint.restore(network, optimizer, generator) if checkpoint else []
    if history:
        after_epoch(history)
    for epoch in range(len(history) + 1, chosen.epochs + 1):
        if chosen.dropout_epochs is not None and epoch > chosen.dropout_epochs:
            network.dropout.p = 0  # early dropout: https://arxiv.org/abs/2303.01500
        trained = train_epoch(network, train, moves, chosen.batch_size, optimizer, generator)
        if chosen.norm_images:
            calibrate(network, train, chosen.norm_images)
        validated = score_split(network, validation) if len(validation) else {}
        row: Row = {"epoch": epoch, "learning_rate": optimizer.learning_rate}
        row |= {f"train_{name}": value for name, value in trained.items()}
        row |= {f"validation_{name}": validated.get(name) for name in trained}
        if not model.is_finite(network):
            raise UserError(
                f"weights are no longer finite in epoch {epoch}: training diverged; lower "
                f"train.max_learning_rate (now {chosen.max_learning_rate}) in params.yaml"
            )
        history.append(row)
        if checkpoint:
            checkpoint.save(network, optimizer, generator, history)
        after_epoch(history)
    return history


def train_epoch(
    network: DigitNet,
    train: Split,
    moves: Augment,
    batch_size: int,
    optimizer: Adam,
    generator: torch.Generator,
) -> dict[str, float]:
    """Show every training image once, in random order; returns the scores on the way."""
    network.train()
    logits: list[torch.Tensor] = []
    answers: list[torch.Tensor] = []
    for images, labels in batches(train, batch_size, moves, generator):
        logits.append(train_step(network, images, labels, optimizer, generator))
        answers.append(labels)
    return score(torch.cat(logits), torch.cat(answers))


def train_step(
    network: DigitNet,
    images: torch.Tensor,
    labels: torch.Tensor,
    optimizer: Adam,
    generator: torch.Generator,
) -> torch.Tensor:
    """One step of the optimizer; returns the logits that led to it."""
    optimizer.zero_grad()
    logits = network(images, generator)
    F.cross_entropy(logits, labels.long()).backward()
    optimizer.step()
    return logits.detach()


def score_split(network: DigitNet, split: Split) -> dict[str, float]:
    """The scores of the network in evaluation mode."""
    return score(model.predict(network, split.images, split.normalisation), split.labels)


def check_size(images: int, chosen: Train, architecture: Architecture) -> None:
    """Refuse what BatchNorm or the schedule cannot work with.

    Raises:
        UserError: the last batch is a single image, or warm-up is a single step.
    """
    pixels = IMAGE_SIZE >> architecture.blocks.count("pool")
    if images % chosen.batch_size == 1 and pixels == 1:
        raise UserError(
            f"params.yaml: train.batch_size is {chosen.batch_size}: of {images:,} training "
            "images it leaves a last batch of one, and model.blocks pools it to a single pixel, "
            "which BatchNorm cannot use; change it by one"
        )
    steps = chosen.epochs * math.ceil(images / chosen.batch_size)
    if chosen.pct_start * steps <= 1:
        raise UserError(
            f"params.yaml: train.pct_start is {chosen.pct_start}: of {steps} steps in all, more "
            "than one must be warm-up; raise it, or train.epochs, or lower train.batch_size"
        )


def main() -> None:
    chosen = parameters.read(PARAMETERS)
    count = model.check_budget(chosen.model)
    device = model.pick_device(chosen.train.device)
    files.check_space(Path(), bytes_needed(count, chosen.train.epochs))

    train = splits.load(PREPARED / "train.safetensors")
    validation = splits.load(PREPARED / "validation.safetensors")
    key = key_of([chosen.model, chosen.augment, chosen.train], [train, validation], device)
    checkpoint = Checkpoint(CHECKPOINT, key)
    train, validation = train.to(device), validation.to(device)

    with tqdm(total=chosen.train.epochs, unit="epoch", disable=None) as bar:

        def after_epoch(history: list[Row]) -> None:
            files.write(
                CURVES, pd.DataFrame(history).to_csv(index=False, float_format="%.6g").encode()
            )
            bar.update(len(history) - bar.n)

        network, history = train_recipe(chosen, train, validation, after_epoch, checkpoint)

    model.save(MODEL, network, train.normalisation)
    last = {name: value for name, value in history[-1].items() if value is not None}
    files.write_json(METRICS, {"parameters": count, **last})
    files.write_json(ENVIRONMENT, environment.describe(device))
    checkpoint.remove()


if __name__ == "__main__":
    run_stage(main)
