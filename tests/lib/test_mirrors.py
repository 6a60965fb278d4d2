"""Fetching from mirrors that misbehave: a real HTTP server on loopback."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.lib import mirrors
from stages.lib.mirrors import MirrorsError, Patience, fetch
from tests.mirror import BAD, Mirror, send, status

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
# what is silent is left after `silence`, far from the limit of the pace, which is `connect` later
QUICK = Patience(connect=5, silence=2, tries=2, pause=0.01, rate=50_000)
# what is worth a second try
TRANSIENT = ["503", "no-http", "hang-up", "reset", "stall", "silent", "short", "chunk-cut"]
MNIST_BYTES = 9_912_422  # of train-images-idx3-ubyte.gz, the largest file
MOST_BYTES = mirrors.MAX_BYTES  # tests have less


@pytest.fixture(scope="module")
def server() -> Iterator[Mirror]:
    flaky = iter([status(503)])
    behaviours = {"flaky": lambda handler, data: next(flaky, send)(handler, data)}
    with Mirror({"file": CONTENT}, behaviours) as mirror:
        yield mirror


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "MAX_BYTES", 4 * 2**20)


@pytest.mark.parametrize("behaviour", ["403", "wrong", *TRANSIENT])
def test_only_what_may_pass_is_tried_again(server: Mirror, behaviour: str, tmp_path: Path) -> None:
    before = len(server.requests)
    with pytest.raises(
        MirrorsError, match=f"{behaviour}: {BAD[behaviour][1]}|{behaviour}: .*2 tries"
    ):
        fetch("file", SHA256, [server.address(behaviour)], tmp_path / "file", QUICK)
    assert len(server.requests) - before == 1 + (behaviour in TRANSIENT)


@pytest.mark.parametrize("behaviour", ["good", "packed", "flaky"])
def test_a_mirror_that_delivers_in_the_end_is_enough(
    server: Mirror, behaviour: str, tmp_path: Path
) -> None:
    fetch("file", SHA256, [server.address(behaviour)], tmp_path / "file", QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_mirror_has_its_reason(server: Mirror, tmp_path: Path) -> None:
    addresses = [server.address("404"), server.address("wrong"), "http://127.0.0.1:9", "/nowhere"]
    target = tmp_path / "file"
    target.write_bytes(b"earlier")
    with pytest.raises(MirrorsError) as caught:
        fetch("file", SHA256, addresses, target, QUICK)
    lines = str(caught.value).splitlines()
    assert len(lines) == 5
    for line, address in zip(lines[1:], addresses, strict=True):
        assert line.startswith(f"  {address}: ")
    assert "Connection refused" in lines[3]
    assert "cannot read /nowhere/file: No such file" in lines[4]
    assert target.read_bytes() == b"earlier"


def test_https_that_fails_is_not_asked_in_plain_http(server: Mirror, tmp_path: Path) -> None:
    before = len(server.requests)
    https = server.address("good").replace("http:", "https:")
    with pytest.raises(MirrorsError, match="https://127.0.0.1"):
        fetch("file", SHA256, [https], tmp_path / "file", QUICK)
    assert len(server.requests) == before


@pytest.mark.parametrize("form", ["{folder}", "{folder}/", "file://{folder}", "file://{folder}/"])
def test_a_folder_is_a_mirror(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "a mirror" if "file:" not in form else tmp_path / "mirror"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)
    fetch("file", SHA256, [form.format(folder=folder)], tmp_path / "target", QUICK)
    assert (tmp_path / "target").read_bytes() == CONTENT


def test_an_address_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MirrorsError, match="cannot read"):
        fetch("file", SHA256, ["gopher://example.com"], tmp_path / "file", QUICK)


def test_only_the_right_bytes_are_right(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not mirrors.is_right(path, SHA256)
    path.write_bytes(CONTENT[:-1])
    assert not mirrors.is_right(path, SHA256)
    path.write_bytes(CONTENT)
    assert mirrors.is_right(path, SHA256)


@pytest.mark.parametrize(("size", "minutes"), [(MNIST_BYTES, 10), (MOST_BYTES, 60)])
def test_no_attempt_outlasts_its_pace(size: int, minutes: float) -> None:
    patience = Patience()
    slowest = patience.connect + patience.silence * 3 / 2 + size / patience.rate
    assert slowest <= 60 * minutes
