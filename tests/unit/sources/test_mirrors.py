"""Fetching from mirrors; tests/faults/test_download.py has all that a server can do wrong."""

import hashlib
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from digits.sources import mirrors
from digits.sources.mirrors import MirrorsError, Patience, fetch
from tests.mirror import Mirror, raw, redirect, reset, send

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Mirror]:
    acts = iter([raw(b"503 Busy"), reset, send])
    behaviours = {
        "moved": redirect("/good/file"),
        # some servers declare the file's own gzip as an encoding of the transfer
        "gzip": raw(b"200 OK\r\nContent-Encoding: gzip"),
        "flaky": lambda handler, content: next(acts)(handler, content),
    }
    with Mirror({"file": CONTENT}, behaviours) as mirror:
        yield mirror


@pytest.mark.parametrize("behaviour", ["good", "moved", "gzip", "flaky"])
def test_a_file_is_fetched_as_sent(server: Mirror, behaviour: str, tmp_path: Path) -> None:
    address, patience = server.address(behaviour), Patience(pause=0.01)
    with ThreadPoolExecutor() as pool:  # any thread will do
        used = pool.submit(fetch, "file", SHA256, [address], tmp_path / "file", patience).result()
    assert used == address
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_mirror_has_its_reason(
    server: Mirror,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(mirrors, "MAX_BYTES", len(CONTENT))
    for name in ("a pipe", "large"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "a pipe/file")
    (tmp_path / "large/file").write_bytes(CONTENT + b"x")
    (tmp_path / "file").write_bytes(b"earlier")
    expected = {
        server.address("404"): "HTTP 404 Not Found",
        "http://127.0.0.1:9": "[Errno 111] Connection refused (3 tries)",
        "/nowhere": "cannot read /nowhere/file: No such file or directory",
        f"{tmp_path}/a pipe": f"{tmp_path}/a pipe/file is not a file",
        f"{tmp_path}/large": "more than 256,000 bytes",
        "gopher://a": f"cannot read {Path.cwd()}/gopher:/a/file: No such file or directory",
    }
    with pytest.raises(MirrorsError) as caught:
        fetch("file", SHA256, list(expected), tmp_path / "file", Patience(pause=0.01))
    lines = [f"  {mirror}: {reason}" for mirror, reason in expected.items()]
    assert str(caught.value).splitlines() == ["no mirror delivered file:", *lines]
    said = [line for line in capsys.readouterr().err.splitlines() if "; trying " in line]
    assert said == [
        f"{mirror}: {reason}; trying {following}"
        for (mirror, reason), following in zip(expected.items(), [*expected][1:], strict=False)
    ]
    assert (tmp_path / "file").read_bytes() == b"earlier"


def test_a_host_that_does_not_answer(tmp_path: Path) -> None:
    """The kernel answers nobody while the queue of a socket is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with socket.create_connection(address):
            mirror = f"http://127.0.0.1:{address[1]}"
            with pytest.raises(MirrorsError, match="no answer in 0.3 s$"):
                fetch("file", SHA256, [mirror], tmp_path / "file", Patience(connect=0.3))


@pytest.mark.parametrize("form", ["{folder}", "{folder}/", "file://{folder}", "file://{folder}/"])
def test_a_folder_is_a_mirror(form: str, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/file").write_bytes(CONTENT)
    fetch("file", SHA256, [form.format(folder=tmp_path / "mirror")], tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_only_the_right_bytes_are_right(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not mirrors.is_right(path, SHA256)
    for content in (CONTENT[:-1], CONTENT):
        path.write_bytes(content)
        assert mirrors.is_right(path, SHA256) == (content == CONTENT)
