"""Data other than MNIST: published sets, and four files of one's own, through the same pipeline."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from torchvision.datasets import KMNIST, MNIST, FashionMNIST

from stages import download
from stages.lib import datasets, parameters
from stages.lib.errors import UserError
from stages.lib.mirrors import MirrorsError
from tests import digits
from tests.project import ROOT, Project, change_parameters, make_project
from tests.test_pipeline import STAGES, ran

NAMES = {
    "train_images": datasets.TRAIN_IMAGES,
    "train_labels": datasets.TRAIN_LABELS,
    "test_images": datasets.TEST_IMAGES,
    "test_labels": datasets.TEST_LABELS,
}
LETTERS = "ABCDEFGHIJ"

Entries = dict[str, dict[str, str]]


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """A folder with four files of drawn letters, not called as MNIST's are."""
    folder = tmp_path / "letters"
    digits.write_idx(folder, 300, 60, LETTERS)
    for key, name in NAMES.items():
        (folder / name).rename(folder / f"{key}.gz")
    return folder


@pytest.fixture
def address(letters: Path) -> Iterator[str]:
    """The folder of letters, served on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(letters)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def entries(folder: Path, address: str) -> Entries:
    """What download.files says of the letters, to be had at `address`."""
    return {
        key: {"address": f"{address}/{key}.gz", "sha256": digits.sha256(folder / f"{key}.gz")}
        for key in NAMES
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project: the current folder, with a params.yaml."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "params.yaml").write_bytes((ROOT / "recipes/described.yaml").read_bytes())
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MNIST_MIRROR", raising=False)
    return folder


def choose(source: str, files: Entries | None = None) -> None:
    change_parameters(Path("params.yaml"), {"download": {"source": source, "files": files}})


def raw() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in download.RAW.glob("*")}


def expected(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{key}.gz").read_bytes() for key, name in NAMES.items()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Committed and not yet run."""
    return make_project(tmp_path)


def test_letters_go_through_the_whole_pipeline(
    project: Project, letters: Path, address: str
) -> None:
    files = entries(letters, address)
    del files["test_labels"]["sha256"]
    project.change("download", source="own", files=files)
    project.change("preprocess", validation_size=50)
    output = project.dvc("repro", fails=True)
    missing = "params.yaml: download.files.test_labels.sha256: missing; each of the four files"
    assert missing in output
    assert ran(output) == ["check"]
    for folder in ("raw", "prepared"):
        made = {path.name for path in (project.path / "data" / folder).iterdir()}
        assert made == {".gitignore"}, "nothing is touched"

    project.change("download", files=entries(letters, address))
    output = project.dvc("repro", NO_PROXY="127.0.0.1", MNIST_MIRROR="/nowhere")
    assert ran(output) == STAGES
    for name, content in expected(letters).items():
        assert project.read(f"data/raw/{name}") == content
    metrics = json.loads(project.read("metrics/evaluate.json"))
    assert (metrics["dataset"], metrics["examples"]) == ("own", 60)
    lock = yaml.safe_load(project.read("dvc.lock"))["stages"]["download"]
    assert lock["params"]["params.yaml"]["download"]["files"] == entries(letters, address)
    ignored = project.git("status", "--porcelain", "--", "data")
    assert ignored == "", "nothing of the data is offered to git"


@pytest.mark.parametrize("form", ["{folder}", "file://{folder}", "../letters"])
def test_own_files_may_lie_in_a_folder(here: Path, letters: Path, form: str) -> None:
    choose("own", entries(letters, form.format(folder=letters)))
    download.main()
    assert raw() == expected(letters)


def test_a_file_without_a_folder_lies_here(here: Path, letters: Path) -> None:
    for path in letters.iterdir():
        (here / path.name).write_bytes(path.read_bytes())
    files = entries(letters, "")
    choose("own", {key: file | {"address": f"{key}.gz"} for key, file in files.items()})
    download.main()
    assert raw() == expected(letters)


def test_files_arrive_together_or_not_at_all(
    here: Path, letters: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = digits.write_idx(here / "data/raw")
    before = raw()
    files = entries(letters, address)
    right = files["test_images"]["sha256"]
    choose("own", files | {"test_images": files["test_images"] | {"sha256": 64 * "0"}})
    with pytest.raises(MirrorsError) as caught:
        download.main()
    message = str(caught.value)
    assert f"no mirror delivered test_images.gz:\n  {address}: wrong content" in message
    assert "download.files in params.yaml" in message
    assert "sha256sum" in message
    incoming = download.INCOMING.name
    assert {path.name: digits.sha256(path) for path in download.RAW.glob("[!.]*")} == earlier
    assert {path.name for path in download.RAW.iterdir()} == {*before, incoming}

    files["test_images"]["sha256"] = right
    choose("own", files)
    fetched: list[str] = []
    fetch = download.mirrors.fetch
    monkeypatch.setattr(
        download.mirrors, "fetch", lambda name, *rest: (fetched.append(name), fetch(name, *rest))[1]
    )
    download.main()
    assert fetched == ["test_images.gz", "test_labels.gz"], "the others had arrived before"
    assert raw() == expected(letters)


@pytest.mark.parametrize(
    ("key", "file", "message"),
    [
        ("test_images", None, "download.files.test_images is None: should be a valid dict"),
        ("train_images", {"sha256": "A" * 64}, "train_images.sha256 is '.*': should be the 64 hex"),
        ("train_images", {"sha256": "a" * 63}, "train_images.sha256 is '.*': should be the 64 hex"),
        ("train_labels", {"sha256": 7}, "train_labels.sha256 is 7: .*string"),
        ("test_labels", {"address": "s3://a/b"}, "test_labels.address is 's3://a/b': .* https://"),
        ("test_labels", {"address": "/a/folder/"}, "test_labels.address is .*: should be a file's"),
        ("test_labels", {"address": ""}, "test_labels.address is '': should be a file's path"),
        ("test_labels", {"adress": "a"}, "test_labels.adress: unknown key; did you mean 'address'"),
        ("test_image", {}, "download.files.test_image: unknown key; did you mean 'test_images'"),
        ("test_images", {"sha256": "1" * 64}, "train_images and test_images have the same sha256"),
    ],
)
def test_a_wrong_field_is_named(
    here: Path, key: str, file: dict[str, object] | None, message: str
) -> None:
    files = {
        name: {"address": f"/a/{name}", "sha256": f"{n}" * 64} for n, name in enumerate(NAMES, 1)
    }
    files[key] = None if file is None else files.get(key, {}) | file
    choose("own", files)
    with pytest.raises(UserError, match=f"params.yaml: (download.files)?.*{message}") as caught:
        parameters.read(Path("params.yaml"))
    assert len(str(caught.value).splitlines()) == 1


def test_source_and_files_must_agree(here: Path) -> None:
    choose("own")
    with pytest.raises(UserError, match="download.files is None: source is 'own', which needs"):
        parameters.read(Path("params.yaml"))
    choose("mnist", {key: {"address": key, "sha256": f"{n}" * 64} for n, key in enumerate(NAMES)})
    with pytest.raises(UserError, match="source is 'mnist'; set it to own, or files to null"):
        parameters.read(Path("params.yaml"))


@pytest.mark.parametrize("name", datasets.OTHERS)
def test_a_published_set_is_fetched_by_its_name(
    here: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = digits.write_idx(tmp_path / "mirror", 30, 10, LETTERS)
    dead = "http://127.0.0.1:9"
    monkeypatch.setitem(datasets.OTHERS, name, (digests, [dead, str(tmp_path / "mirror")]))
    choose(name)
    download.main()
    assert {path.name: digits.sha256(path) for path in download.RAW.iterdir()} == digests

    (download.RAW / datasets.TEST_LABELS).unlink()
    monkeypatch.setitem(datasets.OTHERS, name, (digests, [dead]))
    monkeypatch.setenv("MNIST_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(MirrorsError, match="(?s)127.0.0.1:9: .*set download.source to own"):
        download.main()


@pytest.mark.parametrize(
    ("theirs", "digests", "mirrors"),
    [
        (MNIST, datasets.MNIST, datasets.MNIST_MIRRORS),
        (FashionMNIST, *datasets.OTHERS["fashion-mnist"]),
        (KMNIST, *datasets.OTHERS["kmnist"]),
    ],
)
def test_published_sets_are_where_torchvision_has_them(
    theirs: type[MNIST], digests: dict[str, str], mirrors: list[str]
) -> None:
    assert list(digests) == [name for name, _ in theirs.resources]
    assert {mirror.rstrip("/") for mirror in theirs.mirrors} <= {*mirrors}


def test_no_digest_stands_for_two_files() -> None:
    sets = [datasets.MNIST, *(digests for digests, _ in datasets.OTHERS.values())]
    found = [sha256 for digests in sets for sha256 in digests.values()]
    assert len(set(found)) == 12
    assert all(len(sha256) == 64 and int(sha256, 16) for sha256 in found)


def test_make_run_replaces_no_other_data_by_the_sample(project: Project) -> None:
    project.change("download", source="kmnist")
    before = project.read("params.yaml")
    output = project.run(sys.executable, "run.py", fails=True, MNIST_MIRROR="")
    assert "error: no mirror delivered train-images-idx3-ubyte.gz:" in output
    for mirror in datasets.KMNIST_MIRRORS:
        assert f"\n  {mirror}: " in output
    assert "set download.source to own" in output
    assert "Traceback" not in output
    assert project.read("params.yaml") == before
