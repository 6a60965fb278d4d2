"""From the four IDX files to three splits: training, validation and test."""

from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from digits.core.config import Preprocess
from digits.core.errors import UserError
from digits.core.split import Normalisation, Split
from digits.sources import catalog, idx


def training_splits(raw: Path, config: Preprocess) -> tuple[Split, Split]:
    """The training and the validation split, from the training files in the folder `raw`.

    Raises:
        UserError: a file is missing or malformed, or too small for `validation_size`.
    """
    images, labels = _read_pair(raw, catalog.TRAIN_IMAGES, catalog.TRAIN_LABELS)
    train, validation = split_indices(labels, config)
    normalisation = measure_normalisation(images[train])
    return (
        Split(images[train], labels[train], normalisation),
        Split(images[validation], labels[validation], normalisation),
    )


def test_split(raw: Path, normalisation: Normalisation) -> Split:
    """The test split: every image of the test files.

    Raises:
        UserError: a file is missing or malformed.
    """
    return Split(*_read_pair(raw, catalog.TEST_IMAGES, catalog.TEST_LABELS), normalisation)


def _read_pair(raw: Path, image_file: str, label_file: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images uint8 `(N, 28, 28)` and labels uint8 `(N,)` of two files that belong together."""
    images, labels = idx.read_images(raw / image_file), idx.read_labels(raw / label_file)
    if len(images) != len(labels):
        raise UserError(
            f"{raw}: {len(images):,} images in {image_file}, but {len(labels):,} labels in "
            f"{label_file}"
        )
    return torch.from_numpy(images), torch.from_numpy(labels)


def split_indices(labels: torch.Tensor, config: Preprocess) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the training and the validation images, int64, in file order.

    Every class has the same share of both splits, to within one image. With `validation_size` 0
    all images are for training.

    Raises:
        UserError: the data set is too small for `validation_size`.
    """
    everything = np.arange(len(labels))
    if config.validation_size == 0:
        return torch.from_numpy(everything), torch.empty(0, dtype=torch.int64)
    classes = len(labels.unique())
    try:
        train, validation = train_test_split(
            everything,
            test_size=config.validation_size,
            random_state=config.seed,
            stratify=labels.numpy(),
        )
    except ValueError as error:
        raise UserError(
            f"params.yaml: preprocess.validation_size is {config.validation_size}: with "
            f"{len(labels):,} training images, 0 or {classes} to {len(labels) - classes} is "
            f"allowed ({error})"
        ) from None
    return torch.from_numpy(np.sort(train)), torch.from_numpy(np.sort(validation))


def measure_normalisation(images: torch.Tensor) -> Normalisation:
    """Mean and standard deviation of the pixels of images uint8 `(N, 28, 28)`, scaled to 0 to 1.

    Raises:
        UserError: all pixels are the same.
    """
    counts = torch.bincount(images.flatten(), minlength=256).tolist()
    pixels = sum(counts)
    mean = sum(value * count for value, count in enumerate(counts)) / pixels
    squares = 0.0
    for value, count in enumerate(counts):  # not sum(), which rounds differently since Python 3.12
        squares += count * (value - mean) ** 2
    variance = squares / pixels
    if variance == 0:
        raise UserError(f"every training pixel is {mean:.0f}; these are not digits")
    return Normalisation(mean=mean / 255, std=variance**0.5 / 255)
