"""Data other than MNIST: published sets, and four files of one's own."""

from dataclasses import replace
from pathlib import Path

import pytest
from torchvision.datasets import KMNIST, MNIST, FashionMNIST

from digits.core import config
from digits.core.errors import UserError
from digits.sources.catalog import CATALOG, NAMES, TEST_LABELS, find
from digits.sources.mirrors import MirrorsError
from stages import download, paths
from tests import drawn
from tests.mirror import Mirror
from tests.project import KEYS, ROOT, change_parameters

PUBLISHED = {"mnist": MNIST, "fashion-mnist": FashionMNIST, "kmnist": KMNIST}
ENTRIES = {key: {"address": f"/a/{key}", "sha256": f"{n}" * 64} for n, key in enumerate(KEYS, 1)}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty project, the current folder, beside a folder with files of drawn letters."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("MNIST_MIRROR", raising=False)
    paths.PARAMETERS.write_bytes((ROOT / "recipes/described.yaml").read_bytes())
    drawn.write_idx(tmp_path / "letters", 30, 10, "ABCDEFGHIJ")


def set_download(source: str, files: object = None) -> None:
    change_parameters(paths.PARAMETERS, {"download": {"source": source, "files": files}})


def test_own_files_come_from_folders_and_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_MIRROR", "/nowhere")
    letters = [tmp_path / f"letters/{key}.gz" for key in KEYS]  # not called as MNIST's are
    for path, name in zip(letters, NAMES, strict=True):
        path.with_name(name).rename(path)
    contents = [path.read_bytes() for path in letters]
    with Mirror({letters[0].name: contents[0]}) as server:
        addresses = [
            f"{server.address('good')}/{letters[0].name}",
            str(letters[1]),
            letters[2].as_uri(),
            f"../letters/{letters[3].name}",
        ]
        files = {
            key: {"address": address, "sha256": drawn.sha256(path)}
            for key, address, path in zip(KEYS, addresses, letters, strict=True)
        }
        set_download("own", files)
        download.main()
    assert [(paths.RAW / name).read_bytes() for name in NAMES] == contents

    files["test_images"]["sha256"] = 64 * "0"
    set_download("own", files)
    with pytest.raises(
        MirrorsError, match=r"no mirror delivered test_images.gz:\n.*sha256"
    ) as caught:
        download.main()
    assert str(caught.value).endswith(find("own").way_out)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_set_is_fetched_by_its_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = tmp_path / "letters"
    digests = {path.name: drawn.sha256(path) for path in letters.iterdir()}
    dataset = replace(CATALOG[name], digests=digests, mirrors=("/nowhere", str(letters)))
    monkeypatch.setitem(CATALOG, name, dataset)
    set_download(name)
    download.main()
    assert {path.name: drawn.sha256(path) for path in paths.RAW.iterdir()} == digests

    (paths.RAW / TEST_LABELS).unlink()
    monkeypatch.setitem(CATALOG, name, replace(dataset, mirrors=("/nowhere",)))
    with pytest.raises(MirrorsError, match="/nowhere: cannot read") as caught:
        download.main()
    assert str(caught.value).endswith(dataset.way_out)
    monkeypatch.setenv("MNIST_MIRROR", str(letters))
    if name == "mnist":
        download.main()
    else:
        with pytest.raises(MirrorsError, match="/nowhere: cannot read"):
            download.main()


def entry(key: str, **values: object) -> dict[str, object]:
    """The four entries, with other values in one of them."""
    return ENTRIES | {key: ENTRIES.get(key, {}) | values}


@pytest.mark.parametrize(
    ("source", "files", "message"),
    [
        ("own", None, " is None: source is 'own', which needs an address and a sha256"),
        ("mnist", ENTRIES, " is {.*: source is 'mnist'; set it to own, or files to null"),
        ("own", ENTRIES | {KEYS[2]: None}, ".test_images is None: should be a valid dict"),
        ("own", ENTRIES | {KEYS[3]: {"address": "a"}}, ".test_labels.sha256: missing; each of the"),
        ("own", entry("test_image"), ".test_image: unknown key; did you mean 'test_images'"),
        ("own", entry(KEYS[3], adress="a"), ".*.adress: unknown key; did you mean 'address'"),
        ("own", entry(KEYS[0], sha256="A" * 64), ".train_images.sha256 is '.*': should be the 64"),
        ("own", entry(KEYS[0], sha256="a" * 63), ".train_images.sha256 is '.*': should be the 64"),
        ("own", entry(KEYS[1], sha256=7), ".train_labels.sha256 is 7: .*string"),
        ("own", entry(KEYS[2], sha256="1" * 64), " is {.*: train_.* and test_.* have the same sha"),
        ("own", entry(KEYS[3], address="s3://a/b"), ".test_labels.address is 's3:.* https://"),
        ("own", entry(KEYS[3], address="/a/"), ".test_labels.address is '/a/': should be a file's"),
        ("own", entry(KEYS[3], address=""), ".test_labels.address is '': should be a file's path"),
    ],
)
def test_a_wrong_field_is_named(source: str, files: object, message: str) -> None:
    set_download(source, files)
    with pytest.raises(UserError, match=f"^params.yaml: download.files{message}[^\n]*$"):
        config.read(paths.PARAMETERS)


@pytest.mark.parametrize(("name", "theirs"), PUBLISHED.items())
def test_published_sets_are_where_torchvision_has_them(name: str, theirs: type[MNIST]) -> None:
    assert list(find(name).digests) == [file for file, _ in theirs.resources]
    assert {mirror.rstrip("/") for mirror in theirs.mirrors} <= {*find(name).mirrors}


def test_no_digest_stands_for_two_files() -> None:
    assert len({digest for name in PUBLISHED for digest in find(name).digests.values()}) == 12
