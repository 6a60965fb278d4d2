"""From four IDX files, or a folder of pictures, to three splits: training, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from sklearn.model_selection import train_test_split

from digits.core.config import Config, Preprocess
from digits.core.data_shape import SIZES, DataShape
from digits.core.errors import UserError
from digits.core.split import Normalisation, Split, label_type
from digits.pictures.fitting import fitted
from digits.sources import catalog, idx, picture_folder
from digits.sources.catalog import FOLDER
from digits.sources.holding_out import held_out, near_duplicates
from digits.sources.picture_folder import Pictures

TEST_SHARE = 0.2  # of pictures that have no test of their own


@dataclass(frozen=True)
class Prepared:
    """The three splits, and the file of every picture if they are the user's own.

    files: for train, validation and test, a name for each of its images, or nothing.
    """

    train: Split
    validation: Split
    test: Split
    files: tuple[Sequence[str], Sequence[str], Sequence[str]] = ((), (), ())


def prepare(config: Config, raw: Path, pictures: Path) -> Prepared:
    """The splits of the source that the parameters name: four IDX files, or a folder of pictures.

    Raises:
        UserError: a file is missing or malformed, or too small for `validation_size`.
    """
    if config.download.source == FOLDER:
        return of_pictures(picture_folder.read(pictures, config.preprocess), config.preprocess)
    train, validation = training_splits(config, raw, pictures)
    return Prepared(train, validation, _test_split(config, raw, train))


def training_splits(config: Config, raw: Path, pictures: Path) -> tuple[Split, Split]:
    """The training and the validation split; of IDX files, the two for the test are not read.

    Raises:
        UserError: as `prepare`.
    """
    if config.download.source == FOLDER:
        prepared = prepare(config, raw, pictures)
        return prepared.train, prepared.validation
    images, labels = _read_pair(raw, catalog.TRAIN_IMAGES, catalog.TRAIN_LABELS, config.preprocess)
    names = catalog.find(config.download.source).classes
    classes = names or tuple(map(str, range(max(2, int(labels.max()) + 1))))
    if labels.max() >= len(classes):
        raise UserError(f"{raw}: label {labels.max()} in {catalog.TRAIN_LABELS}, but the data set "
                        f"has {len(classes)} classes")  # fmt: skip
    shape = DataShape(images.shape[1], 1, classes)
    train, validation = split_indices(labels, config.preprocess)
    whole = Split(images, labels, measure_normalisation(images[train]), shape)
    return part_of(whole, train), part_of(whole, validation)


def _test_split(config: Config, raw: Path, train: Split) -> Split:
    """The test split: every image of the two test files."""
    images, labels = _read_pair(raw, catalog.TEST_IMAGES, catalog.TEST_LABELS, config.preprocess)
    if labels.max() >= len(train.shape.classes) or images.shape[1] != train.shape.size:
        raise UserError(
            f"{raw}: {catalog.TRAIN_IMAGES} has {train.shape}, but the test files have images of "
            f"{images.shape[1]}x{images.shape[1]} pixels and labels up to {labels.max()}"
        )
    return replace(train, images=images, labels=labels)


def of_pictures(pictures: Pictures, config: Preprocess) -> Prepared:
    """Split a folder of pictures: by its own folders, or by shares; sorted by file.

    Raises:
        UserError: a test share beside a given test, or too few pictures.
    """
    groups = near_duplicates(pictures.images)
    is_test = np.array([entry.part == "test" for entry in pictures.entries])
    if is_test.any() and config.test_share:
        raise UserError(
            f"params.yaml: preprocess.test_share is {config.test_share:g}, but the pictures have a "
            "test split of their own; remove test_share, or that split"
        )

    def choose(among: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.bool_]:
        places = np.flatnonzero(among)
        chosen = np.zeros(len(among), bool)
        digests = [pictures.digests[place] for place in places]
        labels = pictures.labels[places]
        chosen[places] = held_out(labels, groups[places], digests, count, config.seed)
        return chosen

    if not is_test.any():
        is_test = choose(~is_test, round((config.test_share or TEST_SHARE) * len(is_test)))
    rest = int((~is_test).sum())
    size = config.validation_size
    is_held = choose(~is_test, round(size * rest) if size < 1 else round(size))
    if size > rest - len(pictures.shape.classes) or not is_test.any():
        raise UserError(
            f"params.yaml: preprocess.validation_size is {config.validation_size}: of "
            f"{len(is_test):,} pictures, {is_test.sum():,} are for the test, and at least one of "
            f"each of {len(pictures.shape.classes)} classes is to be trained on; try 0.1, a tenth"
        )
    images = torch.from_numpy(pictures.images)
    labels = torch.from_numpy(pictures.labels).to(label_type(pictures.shape))
    places = [torch.from_numpy(np.flatnonzero(part)) for part in (
        ~is_test & ~is_held, is_held, is_test)]  # fmt: skip
    whole = Split(images, labels, measure_normalisation(images[places[0]]), pictures.shape)
    names = [[pictures.entries[place].file for place in part.tolist()] for part in places]
    train, validation, test = (part_of(whole, part) for part in places)
    return Prepared(train, validation, test, (names[0], names[1], names[2]))


def part_of(split: Split, places: torch.Tensor) -> Split:
    """These images of a split."""
    return replace(split, images=split.images[places], labels=split.labels[places])


def _read_pair(
    raw: Path, image_file: str, label_file: str, config: Preprocess
) -> tuple[torch.Tensor, torch.Tensor]:
    """Grey images uint8 `(N, H, H)` and labels uint8 `(N,)` of two files that belong together."""
    images, labels = idx.read_images(raw / image_file), idx.read_labels(raw / label_file)
    if len(images) != len(labels):
        raise UserError(
            f"{raw}: {len(images):,} images in {image_file}, but {len(labels):,} labels in "
            f"{label_file}"
        )
    if config.channels != 1:
        raise UserError(
            "params.yaml: preprocess.channels is 3, but IDX files are grey: set it to 1"
        )
    size = config.image_size or images.shape[1]
    if images.shape[1:] != (size, size) or size not in SIZES:
        try:
            scaled = (
                fitted(Image.fromarray(image), config.image_size, 1, config.fit) for image in images
            )
            images = np.stack(list(scaled))
        except UserError as error:
            raise UserError(f"{raw / image_file}: {error}") from None
    return torch.from_numpy(images), torch.from_numpy(labels)


def split_indices(labels: torch.Tensor, config: Preprocess) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices of the training and the validation images, int64, in file order.

    Every class has the same share of both splits, to within one image. `validation_size` is a
    number of images or, below 1, a share of them; with 0, all images are for training.

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
    """Mean and standard deviation of the pixels of images uint8 of any shape, scaled to 0 to 1.

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
        raise UserError(f"every training pixel is {mean:.0f}; nothing can be learned")
    return Normalisation(mean=mean / 255, std=variance**0.5 / 255)
