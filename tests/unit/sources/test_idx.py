"""The IDX reader takes valid files and nothing else."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from digits.core.errors import UserError
from digits.sources import idx
from tests import drawn

IMAGES, LABELS = drawn.draw(20, 0)


def header(magic: int, *dimensions: int) -> bytes:
    return struct.pack(f">{1 + len(dimensions)}I", magic, *dimensions)


WHOLE = gzip.compress(header(2051, 20, 28, 28) + IMAGES.tobytes(), mtime=0)
TWO = header(2051, 2, 28, 28)


def test_encoded_arrays_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    for content in (WHOLE, idx.encode(IMAGES)):
        path.write_bytes(content)
        assert np.array_equal(idx.read_images(path), IMAGES)
    path.write_bytes(idx.encode(LABELS))
    assert np.array_equal(idx.read_labels(path), LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated: the IDX header has only 0 bytes"),
        (header(2051, 2), "truncated: the IDX header has only 8 bytes"),
        (header(2049, 2, 28, 28) + bytes(1568), "magic number 2049, expected 2051"),
        (header(0x0D03, 2, 28, 28) + bytes(6272), "magic number 3331, expected 2051"),
        (header(2051, 2, 0, 28), r"items of \(0, 28\) pixels, expected 1 to 1024"),
        (header(2051, 2, 28, 1025), r"items of \(28, 1025\) pixels, expected 1 to 1024"),
        (header(2051, 0, 28, 28), "0 items, expected 1 to"),
        (header(2051, 2**32 - 1, 28, 28), "4,294,967,295 items, expected 1 to"),
        *(
            (TWO + bytes(size), f"expected 1,568 bytes of data, found {actual}")
            for size, actual in ((1567, "1,567"), (1569, "more"), (10**8, "more"))
        ),
    ],
)
def test_a_wrong_image_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(content, 1))
    with pytest.raises(UserError, match=message):
        idx.read_images(path)


def test_a_file_that_is_not_whole_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    with pytest.raises(UserError, match="no such file; `dvc repro download` fetches it"):
        idx.read_images(path)
    for content in (b"", b"<html>404</html>", WHOLE[:30], WHOLE[:-1], WHOLE[:-8] + bytes(8)):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a whole gzip file|truncated"):
            idx.read_images(path)
