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

from digits.core.errors import UserError

MAX_BYTES = 2**29  # half of what a split file may hold; a header that claims more is refused
MAX_SIDE = 1024  # pixels


def read_images(path: Path) -> npt.NDArray[np.uint8]:
    """The images of an IDX file: uint8 `(N, H, W)`, 0 is background.

    Raises:
        UserError: not gzip, not IDX images, too many, truncated or with trailing bytes.
    """
    return _read(path, 3)


def read_labels(path: Path) -> npt.NDArray[np.uint8]:
    """The labels of an IDX file: uint8 `(N,)`.

    Raises:
        UserError: not gzip, not IDX labels, too many, truncated or with trailing bytes.
    """
    return _read(path, 1)


def encode(array: npt.NDArray[np.uint8]) -> bytes:
    """A uint8 array as a gzipped IDX file, stored without compression: the same with any zlib."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=0, fileobj=packed, mtime=0) as file:
        file.write(header + array.tobytes())
    return packed.getvalue()


def _read(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Check the header, and unpack no more than it announces."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes")
        with gzip.open(path) as packed:
            shape = _shape(path, packed.read(4 + 4 * dimensions), dimensions)
            expected = math.prod(shape)
            data = bytearray(packed.read(expected + 1))  # writable, as torch wants it
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro download` fetches it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file: {error}") from None
    if len(data) != expected:
        actual = f"{len(data):,}" if len(data) < expected else "more"
        raise UserError(f"{path}: expected {expected:,} bytes of data, found {actual}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _shape(path: Path, header: bytes, dimensions: int) -> tuple[int, ...]:
    """The shape that the header announces."""
    if len(header) < 4 + 4 * dimensions:
        raise UserError(f"{path}: truncated: the IDX header has only {len(header)} bytes")
    magic, *shape = struct.unpack(f">{1 + dimensions}I", header)
    expected_magic = 0x0800 + dimensions  # 8: unsigned bytes
    if magic != expected_magic:
        raise UserError(f"{path}: magic number {magic}, expected {expected_magic}")
    if not all(1 <= side <= MAX_SIDE for side in shape[1:]):
        raise UserError(f"{path}: items of {tuple(shape[1:])} pixels, expected 1 to {MAX_SIDE}")
    most = MAX_BYTES // math.prod(shape[1:])
    if not 1 <= shape[0] <= most:
        raise UserError(f"{path}: {shape[0]:,} items, expected 1 to {most:,}")
    return tuple(shape)
