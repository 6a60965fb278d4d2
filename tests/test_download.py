"""The download stage, against a mirror in a folder; tests/lib/test_mirrors.py has the servers."""

from pathlib import Path

import numpy as np
import pytest

from stages import download
from stages.lib import idx
from stages.lib.mirrors import MirrorsError
from tests import digits


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror of drawn digits, whose digests are the pinned ones for this test."""
    mirror = tmp_path / "mirror"
    monkeypatch.setattr(download, "MNIST", digits.write_idx(mirror))
    monkeypatch.setattr(download, "MNIST_MIRRORS", [])
    monkeypatch.setenv("MNIST_MIRROR", str(mirror))
    monkeypatch.chdir(tmp_path)
    return mirror


def test_the_mirror_is_fetched_byte_for_byte(folder: Path) -> None:
    download.fetch_mnist()
    for path in folder.iterdir():
        assert (download.RAW / path.name).read_bytes() == path.read_bytes()


def test_what_is_there_and_right_is_not_fetched_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download.fetch_mnist()
    damaged = download.RAW / "t10k-labels-idx1-ubyte.gz"
    right = damaged.read_bytes()
    damaged.write_bytes(right[:-1])
    fetched: list[str] = []
    fetch = download.mirrors.fetch
    monkeypatch.setattr(
        download.mirrors, "fetch", lambda name, *rest: (fetched.append(name), fetch(name, *rest))[1]
    )
    download.fetch_mnist()
    assert fetched == [damaged.name]
    assert damaged.read_bytes() == right


def test_without_a_mirror_both_ways_out_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "train-images-idx3-ubyte.gz").unlink()
    monkeypatch.setattr(download, "MNIST_MIRRORS", ["http://127.0.0.1:9"])
    with pytest.raises(MirrorsError) as caught:
        download.fetch_mnist()
    for part in (str(folder), "http://127.0.0.1:9", "MNIST_MIRROR", "download.source to sample"):
        assert part in str(caught.value)


def test_the_sample_is_stratified_and_always_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    download.write_sample()
    first = {path.name: path.read_bytes() for path in download.RAW.iterdir()}
    assert set(first) == set(download.MNIST)
    for prefix, per_digit in (("train", 400), ("t10k", 100)):
        images = idx.read_images(download.RAW / f"{prefix}-images-idx3-ubyte.gz")
        labels = idx.read_labels(download.RAW / f"{prefix}-labels-idx1-ubyte.gz")
        assert images.shape == (10 * per_digit, 28, 28)
        assert labels.bincount().tolist() == [per_digit] * 10
    download.write_sample()
    assert first == {path.name: path.read_bytes() for path in download.RAW.iterdir()}


def test_encoded_arrays_are_idx_files(tmp_path: Path) -> None:
    array = np.arange(2 * 28 * 28).astype(np.uint8).reshape(2, 28, 28)
    (tmp_path / "images.gz").write_bytes(download.encode_idx(array))
    assert np.array_equal(idx.read_images(tmp_path / "images.gz").numpy(), array)
