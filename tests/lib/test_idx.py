"""The IDX reader takes what is right and nothing else."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.download import encode_idx
from stages.lib import idx
from stages.lib.errors import UserError
from tests import digits


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.gz"


def header(magic: int, *dimensions: int) -> bytes:
    return struct.pack(f">{1 + len(dimensions)}I", magic, *dimensions)


def test_what_was_encoded_is_read(path: Path) -> None:
    images, labels = digits.draw(20, 0)
    path.write_bytes(encode_idx(images))
    assert torch.equal(idx.read_images(path), torch.from_numpy(images))
    path.write_bytes(encode_idx(labels))
    assert torch.equal(idx.read_labels(path), torch.from_numpy(labels))
    assert idx.read_labels(path).dtype == torch.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated: the IDX header has only 0 bytes"),
        (header(2051, 2), "truncated: the IDX header has only 8 bytes"),
        (header(2049, 2, 28, 28) + bytes(1568), "magic number 2049, expected 2051"),
        (header(0x0D03, 2, 28, 28) + bytes(6272), "magic number 3331, expected 2051"),
        (header(2051, 2, 14, 56) + bytes(1568), r"items of \(14, 56\) pixels, expected \(28, 28\)"),
        (header(2051, 0, 28, 28), "0 items, expected 1 to"),
        (header(2051, 2**32 - 1, 28, 28), "4,294,967,295 items, expected 1 to"),
        (header(2051, 2, 28, 28) + bytes(1567), "expected 1,568 bytes of data, found 1,567"),
        (header(2051, 2, 28, 28) + bytes(1569), "expected 1,568 bytes of data, found more"),
        (header(2051, 2, 28, 28) + bytes(10**8), "expected 1,568 bytes of data, found more"),
    ],
)
def test_a_wrong_image_file_is_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(gzip.compress(content, 1))
    with pytest.raises(UserError, match=message):
        idx.read_images(path)


def test_labels_are_digits(path: Path) -> None:
    path.write_bytes(encode_idx(np.array([0, 9, 10], np.uint8)))
    with pytest.raises(UserError, match="found label 10, expected 0 to 9"):
        idx.read_labels(path)


def test_what_is_not_whole_gzip_is_refused(path: Path) -> None:
    images, _ = digits.draw(3, 0)
    whole = gzip.compress(header(2051, 3, 28, 28) + images.tobytes())
    damaged = whole[:-8] + bytes(8)
    for content in (b"", b"<html>404</html>", whole[:30], whole[:-1], damaged):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"not a whole gzip file|truncated"):
            idx.read_images(path)
    path.unlink()
    with pytest.raises(UserError, match="no such file"):
        idx.read_images(path)
