"""Four files arrive together, from a folder; tests/unit/sources/test_mirrors.py has servers."""

from pathlib import Path

import numpy as np
import pytest

from digits.core.errors import UserError
from digits.sources import download, idx
from digits.sources.catalog import NAMES, find
from digits.sources.mirrors import MirrorsError
from tests import drawn


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_arrive_together_and_none_is_fetched_again(tmp_path: Path) -> None:
    mirror, folder = tmp_path / "mirror", tmp_path / "raw"
    digests, whole = drawn.write_idx(mirror), contents(mirror)
    files = [
        download.RemoteFile(name, digest, name, [str(mirror)]) for name, digest in digests.items()
    ]
    drawn.write_idx(folder, alphabet="ABCDEFGHIJ")
    letters = contents(folder)
    (mirror / NAMES[2]).unlink()
    message = f"(?s)no mirror .* {NAMES[2]}:.*{mirror}.*\nthe way out"
    with pytest.raises(MirrorsError, match=message):
        download.fetch(files, folder, "the way out")
    assert {name: (folder / name).read_bytes() for name in NAMES} == letters

    (mirror / NAMES[2]).write_bytes(whole[NAMES[2]])
    for name in NAMES[:2]:  # they have arrived before
        (mirror / name).unlink()
    download.fetch(files, folder, "")
    assert contents(folder) == whole

    (folder / NAMES[3]).write_bytes(b"damaged")
    (mirror / NAMES[2]).unlink()  # it is there and right
    download.fetch(files, folder, "")
    assert contents(folder) == whole


def test_an_unknown_source_is_refused_with_a_hint() -> None:
    message = r"^params.yaml: download.source is 'mnits': did you mean 'mnist'\? should be 'mnist'"
    with pytest.raises(UserError, match=f"{message}, .*'own' or 'folder'$"):
        find("mnits")


def test_the_sample_is_stratified_and_always_the_same(tmp_path: Path) -> None:
    download.write_sample(tmp_path)
    assert set(contents(tmp_path)) == set(NAMES)
    for (image_file, label_file), per_digit in ((NAMES[:2], 400), (NAMES[2:], 100)):
        images = idx.read_images(tmp_path / image_file)
        labels = idx.read_labels(tmp_path / label_file)
        assert images.shape == (10 * per_digit, 28, 28)
        assert np.bincount(labels).tolist() == [per_digit] * 10
        packed = (tmp_path / image_file).read_bytes()
        assert packed == idx.encode(images), "it holds no time and no name"
