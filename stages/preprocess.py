"""Turn the four IDX files into checked, split, self-explaining tensors.

Reads data/raw/*.gz and `preprocess` of params.yaml. Writes data/prepared/train.safetensors,
validation.safetensors and test.safetensors: images uint8 `(N, 28, 28)`, labels uint8 `(N,)`
and the normalisation constants of the training split.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from stages.lib import idx, parameters, splits
from stages.lib.alone import run_stage
from stages.lib.errors import UserError
from stages.lib.parameters import Preprocess
from stages.lib.splits import Normalisation, Split

PARAMETERS = Path("params.yaml")
RAW = Path("data/raw")
PREPARED = Path("data/prepared")


def read_pair(prefix: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images uint8 `(N, 28, 28)` and labels uint8 `(N,)` of the files that begin with `prefix`."""
    images = idx.read_images(RAW / f"{prefix}-images-idx3-ubyte.gz")
    labels = idx.read_labels(RAW / f"{prefix}-labels-idx1-ubyte.gz")
    if len(images) != len(labels):
        raise UserError(f"{RAW}/{prefix}-*: {len(images):,} images but {len(labels):,} labels")
    return images, labels


def split_indices(labels: torch.Tensor, chosen: Preprocess) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the training and the validation images, in file order.

    Every digit has the same share of both splits, to within one image. `validation_size` 0
    keeps all images for training.

    Raises:
        UserError: the data set is too small for `validation_size`.
    """
    everything = np.arange(len(labels))
    if chosen.validation_size == 0:
        return torch.from_numpy(everything), torch.empty(0, dtype=torch.int64)
    classes = len(labels.unique())
    try:
        train, validation = train_test_split(
            everything,
            test_size=chosen.validation_size,
            random_state=chosen.seed,
            stratify=labels.numpy(),
        )
    except ValueError as error:
        raise UserError(
            f"{PARAMETERS}: preprocess.validation_size is {chosen.validation_size}: with "
            f"{len(labels):,} training images, 0 or {classes} to {len(labels) - classes} is "
            f"allowed ({error})"
        ) from None
    return torch.from_numpy(np.sort(train)), torch.from_numpy(np.sort(validation))


def normalisation_of(images: torch.Tensor) -> Normalisation:
    """Mean and standard deviation of all pixels, on a scale of 0 to 1."""
    counts = torch.bincount(images.flatten(), minlength=256).tolist()
    pixels = sum(counts)
    mean = sum(value * count for value, count in enumerate(counts)) / pixels
    squares = 0.0
    for value, count in enumerate(counts):  # not sum(): since Python 3.12 it rounds floats otherwise
        squares += count * (value - mean) ** 2
    variance = squares / pixels
    if variance == 0:
        raise UserError(f"{RAW}: every training pixel is {mean:.0f}; these are not digits")
    return Normalisation(mean=mean / 255, std=variance**0.5 / 255)


def training_splits(chosen: Preprocess) -> tuple[Split, Split]:
    """The training and the validation split, made of the training files alone."""
    images, labels = read_pair("train")
    train, validation = split_indices(labels, chosen)
    normalisation = normalisation_of(images[train])
    return (
        Split(images[train], labels[train], normalisation),
        Split(images[validation], labels[validation], normalisation),
    )


def testing_split(normalisation: Normalisation) -> Split:
    """The test split: every image of the test files."""
    return Split(*read_pair("t10k"), normalisation)


def main() -> None:
    chosen = parameters.read(PARAMETERS).preprocess

    train, validation = training_splits(chosen)
    test = testing_split(train.normalisation)

    splits.save(PREPARED / "train.safetensors", train)
    splits.save(PREPARED / "validation.safetensors", validation)
    splits.save(PREPARED / "test.safetensors", test)
    print(
        f"preprocess: {len(train):,} training, {len(validation):,} validation and "
        f"{len(test):,} test images",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_stage(main)
