"""The training loop: fit -> train_epoch -> train_step. It knows no path and prints nothing."""

import math
from collections.abc import Callable

import torch

from digits.core.config import Augmentation, Config, Training
from digits.core.errors import UserError
from digits.core.split import Split
from digits.network.digitnet import DigitNet
from digits.network.layers import ConvBlock
from digits.network.model_file import classify
from digits.training import batchnorm_statistics
from digits.training.batches import batches
from digits.training.checkpoint import Checkpoint, Epoch
from digits.training.metrics import Metrics, measure
from digits.training.optimizer import Adam
from digits.training.trainer import Trainer, trainer_of

AfterEpoch = Callable[[list[Epoch]], None]


def train_network(
    config: Config,
    train: Split,
    validation: Split,
    after_epoch: AfterEpoch = lambda history: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[DigitNet, list[Epoch]]:
    """Draw a network and `fit` it, both from one generator with the seed of `config`.

    Returns the network, on the device of the splits, and the history of `fit`.
    """
    device = train.images.device
    rng = torch.Generator(device).manual_seed(config.train.seed)
    with device:
        network = DigitNet(config.model, rng, train.shape)
    return network, fit(network, train, validation, config, rng, after_epoch, checkpoint)


def fit(
    network: DigitNet,
    train: Split,
    validation: Split,
    config: Config,
    rng: torch.Generator,
    after_epoch: AfterEpoch = lambda history: None,
    checkpoint: Checkpoint | None = None,
) -> list[Epoch]:
    """Train `network` in place with Adam under a one-cycle learning rate.

    Args:
        network: on the device of the splits and of `rng`.
        train: at least one batch of images.
        validation: scored after every epoch; may be empty.
        config: its sections `augment` and `train` are used.
        rng: draws the order, the augmentation and the dropout masks.
        after_epoch: called with the history so far.
        checkpoint: resumed from if it belongs to this run, and saved after every epoch.

    Returns:
        One row per epoch: epoch (from 1), learning_rate of its last step, train_loss and
        train_accuracy over the augmented images as they were trained on, validation_loss
        and validation_accuracy (None without validation images).

    Raises:
        UserError: the weights are no longer finite, the last batch is too small to normalise,
            or there are too few steps for the schedule.
    """
    training = config.train
    steps = check_size(len(train), training, network)
    torch.set_num_threads(1)  # more change the bits of sums
    optimizer = Adam(network.parameters(), training, steps)
    trainer = trainer_of(network, optimizer)
    history = checkpoint.restore(network, optimizer, rng) if checkpoint else []
    if history:
        after_epoch(history)
    for epoch in range(len(history) + 1, training.epochs + 1):
        if training.dropout_epochs is not None and epoch > training.dropout_epochs:
            network.dropout.p = 0  # early dropout: https://arxiv.org/abs/2303.01500
        trained = train_epoch(trainer, train, config.augment, rng)
        if training.norm_images:
            batchnorm_statistics.recompute(trainer, train, training.norm_images)
        check_finite(network, epoch, training)
        validated: Metrics = {}
        if len(validation):
            logits = trainer.classify(validation.images, validation.normalisation)
            validated = measure(logits, validation.labels)
        history.append(
            {"epoch": epoch, "learning_rate": optimizer.learning_rate}
            | {f"train_{name}": value for name, value in trained.items()}
            | {f"validation_{name}": validated.get(name) for name in trained}
        )
        if checkpoint:
            checkpoint.save(network, optimizer, rng, history)
        after_epoch(history)
    return history


def train_epoch(
    trainer: Trainer, train: Split, augmentation: Augmentation, rng: torch.Generator
) -> Metrics:
    """Train on every image once, in random order; returns the metrics of the logits on the way."""
    logits: list[torch.Tensor] = []
    labels: list[torch.Tensor] = []
    for images, answers in batches(train, trainer.optimizer.config.batch_size, augmentation, rng):
        logits.append(trainer.train(images, answers, rng))
        labels.append(answers)
    trainer.finish()
    return measure(torch.cat(logits), torch.cat(labels))


def measure_split(network: DigitNet, split: Split) -> Metrics:
    """The metrics of the network on a split, in evaluation mode."""
    return measure(classify(network, split.images, split.normalisation), split.labels)


def check_finite(network: DigitNet, epoch: int, training: Training) -> None:
    """Raise a UserError if a weight or a running statistic is infinite or not a number."""
    if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
        raise UserError(
            f"weights are no longer finite in epoch {epoch}: training diverged; lower "
            f"train.max_learning_rate (now {training.max_learning_rate}) in params.yaml"
        )


def check_size(images: int, training: Training, network: DigitNet) -> int:
    """The number of steps; refuses images that BatchNorm or the schedule cannot work with.

    Raises:
        UserError: the last batch is a single image, or warm-up is a single step.
    """
    convolutions = [layer for layer in network.layers if isinstance(layer, ConvBlock)]
    is_one_pixel = any(layer.output.size == 1 for layer in convolutions)
    if images % training.batch_size == 1 and is_one_pixel:
        raise UserError(
            f"params.yaml: train.batch_size is {training.batch_size}: of {images:,} training "
            "images it leaves a last batch of one, and model.blocks leaves a single pixel of it, "
            "which BatchNorm cannot use; change it by one"
        )
    steps = training.epochs * math.ceil(images / training.batch_size)
    if training.pct_start * steps <= 1:
        raise UserError(
            f"params.yaml: train.pct_start is {training.pct_start}: of {steps} steps in all, more "
            "than one must be warm-up; raise it, or train.epochs, or lower train.batch_size"
        )
    return steps
