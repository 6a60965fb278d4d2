"""Folders, archives and tables of pictures: what is read, and what is refused in a line."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.core.config import Preprocess
from digits.core.errors import UserError
from digits.sources import picture_folder, picture_store
from digits.sources.holding_out import held_out, near_duplicates
from digits.sources.picture_folder import Pictures
from digits.sources.preprocess import of_pictures

CONFIG = Preprocess(validation_size=4, seed=0)
COLOURS = {"Żółw": "green", "sea horse": "orange", "кот": "grey"}


def picture(colour: str, number: int, size: int = 12) -> bytes:
    """A disc on noise; every number another."""
    rng, file = np.random.default_rng(number), io.BytesIO()
    noise = rng.integers(0, 255, (size, size, 3), np.uint8)
    whole = Image.fromarray(noise)
    whole.paste(colour, (2, 2, size - 2, size // 2 + number % 3))
    whole.save(file, "png")
    return file.getvalue()


def named(count: int = 10) -> dict[str, bytes]:
    return {
        f"{name}/{number}.png": picture(colour, 100 * place + number)
        for place, (name, colour) in enumerate(COLOURS.items())
        for number in range(count)
    }


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def as_folder(root: Path, files: dict[str, bytes]) -> None:
    write(root, files)


def in_one_folder(root: Path, files: dict[str, bytes]) -> None:
    write(root / "animals", files)


def as_zip(root: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(root / "animals.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def as_tar(root: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(root / "animals.tar.gz", "w:gz") as archive:
        for name, content in reversed(files.items()):
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def as_table(root: Path, files: dict[str, bytes]) -> None:
    rows = [f"{name},{name.partition('/')[0]}" for name in files]
    write(root, {**files, "labels.csv": "\n".join(["path,label", *rows]).encode()})


def read(root: Path, **values: object) -> Pictures:
    return picture_folder.read(root, CONFIG.model_copy(update={"channels": 3, **values}))


@pytest.mark.parametrize("store", [as_folder, in_one_folder, as_zip, as_tar, as_table])
def test_all_forms_are_read_alike(
    tmp_path: Path, store: Callable[[Path, dict[str, bytes]], None]
) -> None:
    files = named()
    store(tmp_path, files)
    write(tmp_path, {".DS_Store": b"", "README.md": b""})
    pictures = read(tmp_path)
    assert pictures.shape.classes == tuple(sorted(COLOURS))
    assert pictures.images.shape == (30, 12, 12, 3)
    for entry, image, label in zip(pictures.entries, pictures.images, pictures.labels, strict=True):
        name = entry.file.removeprefix("animals/")
        assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(files[name]))))
        assert pictures.shape.classes[label] == name.partition("/")[0]


def test_the_order_of_a_folder_is_that_of_its_names(tmp_path: Path) -> None:
    as_tar(tmp_path, named())
    names = [entry.file for entry in read(tmp_path).entries]
    assert names == sorted(names)


def test_a_given_test_is_kept_and_a_share_is_of_every_class(tmp_path: Path) -> None:
    files = {f"train/{name}": content for name, content in named().items()}
    files |= {f"test/{name}": picture("black", 900 + n) for n, name in enumerate(named(2))}
    write(tmp_path / "given", files)
    given = of_pictures(read(tmp_path / "given"), CONFIG)
    assert set(given.files[2]) == {name for name in files if name.startswith("test/")}
    assert (len(given.train), len(given.validation)) == (27, 3)
    with pytest.raises(UserError, match="test_share is 0.5, but the pictures have a test"):
        of_pictures(read(tmp_path / "given"), CONFIG.model_copy(update={"test_share": 0.5}))

    write(tmp_path / "shared", named())
    shared = of_pictures(read(tmp_path / "shared"), CONFIG)
    assert shared.test.labels.bincount().tolist() == [2, 2, 2]
    assert shared.validation.labels.bincount().tolist() == [1, 1, 1]
    assert sorted(name for part in shared.files for name in part) == sorted(named())
    assert shared.train.normalisation == shared.test.normalisation
    quarter = of_pictures(
        read(tmp_path / "shared"), CONFIG.model_copy(update={"validation_size": 0.25})
    )
    assert (len(quarter.validation), len(quarter.test)) == (6, 6)
    too_many = CONFIG.model_copy(update={"validation_size": 22})
    with pytest.raises(UserError, match="validation_size is 22: of 30 pictures, 6 .* try 0.1"):
        of_pictures(read(tmp_path / "shared"), too_many)


def test_another_picture_or_another_name_moves_hardly_any_other(tmp_path: Path) -> None:
    write(tmp_path, named(40))
    before = set(of_pictures(read(tmp_path), CONFIG).files[2])
    write(tmp_path, {"кот/new.png": picture("grey", 999)})
    after = set(of_pictures(read(tmp_path), CONFIG).files[2])
    assert len(before ^ after - {"кот/new.png"}) <= 2
    (tmp_path / "кот").rename(tmp_path / "cat")
    renamed = {
        name.replace("cat/", "кот/") for name in of_pictures(read(tmp_path), CONFIG).files[2]
    }
    assert renamed == after


def test_near_duplicates_stay_on_one_side() -> None:
    rng = np.random.default_rng(0)
    originals = rng.integers(0, 250, (40, 16, 16), np.uint8)
    again = originals + rng.integers(0, 3, originals.shape, np.uint8)  # as saved with loss
    images = np.concatenate([originals, again])
    groups = near_duplicates(images)
    assert np.array_equal(groups[:40], groups[40:])
    assert len(set(groups.tolist())) == 40
    labels = np.arange(80) % 40 % 2
    chosen = held_out(labels, groups, [str(n) for n in range(80)], 20, seed=0)
    assert chosen.sum() == 20
    assert np.array_equal(chosen[:40], chosen[40:])


def test_every_class_keeps_something_to_train_on() -> None:
    labels, groups = np.array([0] * 30 + [1]), np.arange(31)
    chosen = held_out(labels, groups, [str(n) for n in range(31)], 20, seed=0)
    assert not chosen[30]
    assert 18 <= chosen.sum() <= 20


GOOD = picture("red", 1)
HOSTILE: list[tuple[dict[str, bytes], str]] = [
    ({}, "holds no pictures; put a folder"),
    ({"a/1.txt": b"x"}, "holds no pictures"),
    ({"a/1.png": GOOD, "a/2.png": picture("red", 2)}, r"1 classes \('a'\), expected 2 to 1,000"),
    ({"a/1.png": GOOD, "2.png": picture("red", 2)}, "2.png is in no class's folder"),
    ({"a/1.png": GOOD, "b/2.png": GOOD}, "a/1.png and b/2.png are the same picture in two classes"),
    ({"a/1.png": GOOD, "b/2.png": b"\x89PNG"}, "b/2.png: not a picture"),
    ({"a/1.png": GOOD, "b/2.png": GOOD[:90]}, "b/2.png: cannot be read as a picture"),
    ({"a/1.png": GOOD, "b/2.png": picture("red", 2, 70)}, "b/2.png: has 70x70 pixels; set"),
    ({"a/1.png": GOOD, "b/2.png": picture("red", 2, 20)}, "20 pixels a side, the rest 12; set"),
    ({"a/1.png": GOOD, "A/2.png": picture("red", 2)}, "differ in case"),
    ({"e\u0301/1.png": GOOD, "é/2.png": picture("red", 2)}, "how Unicode spells them"),
    ({"train/a/1.png": GOOD, "val/a/2.png": picture("red", 2)}, "beside `train` there is 'val'"),
    (
        {
            "train/a/1.png": GOOD,
            "train/b/2.png": picture("red", 2),
            "test/c/3.png": picture("red", 3),
        },
        "only the test pictures have 'c'",
    ),
    ({"a/1.png": GOOD, "b.zip": b"PK"}, "b.zip: an archive is read if it is alone"),
    ({"x.zip": b"PK"}, "x.zip: not a whole archive"),
    ({"x.tar": b"x" * 600}, "x.tar: not a whole archive"),
    ({"a.csv": b"path,label\n1.png,a\n"}, r"a.csv, line 2: no file '1.png'"),
    ({"a.csv": b"file,class\n1.png,a\n"}, r"columns are \['class', 'file'\], expected path and"),
    ({"a.csv": b"path,label\n1.png,a\n1.png,b\n", "1.png": GOOD}, "line 3: '1.png' is 'b' and 'a'"),
    ({"a.csv": b"path,label\n1.png,\n", "1.png": GOOD}, "line 2: '1.png' has no label"),
    ({"a.csv": b"path,label,split\n1.png,a,dev\n", "1.png": GOOD}, "line 2: split 'dev'"),
    ({"a.csv": b"path,label\n../../etc/passwd,a\n"}, r"line 2: no file '../../etc/passwd'"),
]


@pytest.mark.parametrize(("files", "message"), HOSTILE)
def test_what_is_wrong_with_a_folder_is_said_in_a_line(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    write(tmp_path, files)
    with pytest.raises(UserError, match=message) as raised:
        read(tmp_path)
    assert len(str(raised.value)) < 400


def test_an_empty_class_a_link_and_a_pipe_are_refused(tmp_path: Path) -> None:
    write(tmp_path, named())
    (tmp_path / "owl").mkdir()
    with pytest.raises(UserError, match="the class 'owl' has no picture"):
        read(tmp_path)
    (tmp_path / "owl").rmdir()
    (tmp_path / "owl").symlink_to("/etc")
    with pytest.raises(UserError, match="owl: a link; DVC does not see"):
        read(tmp_path)
    (tmp_path / "owl").unlink()
    os.mkfifo(tmp_path / "owl.png")
    with pytest.raises(UserError, match=r"owl.png: neither a file nor a folder"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "a/../../out.png", "a\\b.png"])
def test_an_archive_that_leads_out_of_itself_is_refused(tmp_path: Path, name: str) -> None:
    for store, suffix in ((as_zip, "zip"), (as_tar, "tar.gz")):
        folder = tmp_path / suffix
        folder.mkdir()
        store(folder, {**named(), name: GOOD})
        if store is as_tar and name.startswith("/"):
            continue  # "./" stands before it
        with pytest.raises(UserError, match=rf"animals.{suffix}: .* leads out of the archive"):
            read(folder)


def test_links_in_archives_and_bombs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "animals.tar", "w") as archive:
        link = tarfile.TarInfo("a/1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(UserError, match="a/1.png is a link or a device"):
        read(tmp_path)
    (tmp_path / "animals.tar").unlink()
    monkeypatch.setattr(picture_store, "MAX_FILE_BYTES", 1_000_000)
    as_zip(tmp_path, {**named(), "b/bomb.png": bytes(2_000_000)})
    with pytest.raises(UserError, match="bomb.png unpacks to 2,000,000 bytes"):
        read(tmp_path)


def test_all_broken_pictures_are_named_up_to_ten(tmp_path: Path) -> None:
    write(tmp_path, named() | {f"owl/{n}.png": b"" for n in range(12)})
    with pytest.raises(UserError) as raised:
        read(tmp_path)
    lines = str(raised.value).splitlines()
    assert sum("not a picture" in line for line in lines) == 10
    assert lines[-2:] == ["... and 2 more", "mend or remove them"]


def test_thousands_of_other_files_are_no_pictures(tmp_path: Path) -> None:
    for number in range(5000):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(UserError, match="holds no pictures"):
        read(tmp_path)
