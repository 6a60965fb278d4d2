"""Gzipped IDX files: a reader that trusts nothing in them, and a writer.

Format: http://yann.lecun.com/exdb/mnist/, section "The IDX file format".
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from digits.core.data_shape import CLASSES, IMAGE_SIZE
from digits.core.errors import UserError

MAX_ITEMS = 60_000  # MNIST's; a header that claims more is refused before anything is unpacked
MAX_PACKED_BYTES = 64 * 2**20  # room for MNIST's largest file, stored without compression


def read_images(path: Path) -> npt.NDArray[np.uint8]:
    """The images of an IDX file: uint8 `(N, 28, 28)`, 0 is background.

    Raises:
        UserError: not gzip, not IDX images of 28x28, truncated or with trailing bytes.
    """
    return _read(path, (IMAGE_SIZE, IMAGE_SIZE))


def read_labels(path: Path) -> npt.NDArray[np.uint8]:
    """The labels of an IDX file: uint8 `(N,)`, 0 to 9.

    Raises:
        UserError: not gzip, not IDX labels, truncated, with trailing bytes or out of range.
    """
    labels = _read(path, ())
    if labels.max() >= CLASSES:
        raise UserError(f"{path}: label {labels.max()}, expected 0 to {CLASSES - 1}")
    return labels


def encode(array: npt.NDArray[np.uint8]) -> bytes:
    """A uint8 array as a gzipped IDX file, stored without compression: the same with any zlib."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=0, fileobj=packed, mtime=0) as file:
        file.write(header + array.tobytes())
    return packed.getvalue()


def _read(path: Path, item_shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Check the header, and unpack no more than it announces."""
    dimensions = 1 + len(item_shape)
    header_size = 4 + 4 * dimensions
    try:
        if path.stat().st_size > MAX_PACKED_BYTES:
            raise UserError(f"{path}: larger than {MAX_PACKED_BYTES:,} bytes; MNIST is not")
        with gzip.open(path) as packed:
            count = _check_header(path, packed.read(header_size), item_shape)
            expected = count * math.prod(item_shape)
            data = bytearray(packed.read(expected + 1))  # writable, as torch wants it
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro download` fetches it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file: {error}") from None
    if len(data) != expected:
        actual = f"{len(data):,}" if len(data) < expected else "more"
        raise UserError(f"{path}: expected {expected:,} bytes of data, found {actual}")
    return np.frombuffer(data, np.uint8).reshape(count, *item_shape)


def _check_header(path: Path, header: bytes, item_shape: tuple[int, ...]) -> int:
    """The number of items that the header announces."""
    dimensions = 1 + len(item_shape)
    if len(header) < 4 + 4 * dimensions:
        raise UserError(f"{path}: truncated: the IDX header has only {len(header)} bytes")
    magic, count, *shape = struct.unpack(f">{1 + dimensions}I", header)
    expected_magic = 0x0800 + dimensions  # 8: unsigned bytes
    if magic != expected_magic:
        raise UserError(f"{path}: magic number {magic}, expected {expected_magic}")
    if tuple(shape) != item_shape:
        raise UserError(f"{path}: items of {tuple(shape)} pixels, expected {item_shape}")
    if not 1 <= count <= MAX_ITEMS:
        raise UserError(f"{path}: {count:,} items, expected 1 to {MAX_ITEMS:,}")
    return count
