"""Fetching from mirrors that misbehave: a real HTTP server on loopback."""

import hashlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stages.lib import mirrors
from stages.lib.mirrors import MirrorsError, Patience, fetch

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(connect=0.5, silence=0.5, tries=2, pause=0.01, rate=50_000)

Behaviour = Callable[[BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, body: bytes, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def status(code: int) -> Behaviour:
    return lambda handler: handler.send_error(code)


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Close with RST, in the middle of the body."""
    send(handler, CONTENT[:1000], len(CONTENT))
    handler.wfile.flush()
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def stall(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT[:1000], len(CONTENT))
    time.sleep(2)


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    for position in range(100):
        handler.wfile.write(CONTENT[position : position + 1])
        handler.wfile.flush()
        time.sleep(0.05)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(2**20))


def redirect_to_itself(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def packed(handler: BaseHTTPRequestHandler) -> None:
    """Say that the file's own gzip is an encoding of the transfer, as some servers do."""
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT)


class Server:
    """Serves each path by the behaviour under its first part; counts requests."""

    def __init__(self, behaviours: dict[str, Behaviour]) -> None:
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                with suppress(ConnectionError):  # the client has had enough
                    behaviours[self.path.split("/")[1]](self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]
        Thread(target=self.http.serve_forever, daemon=True).start()

    def address(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/{behaviour}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    flaky = iter([status(503)])
    server = Server(
        {
            "good": lambda handler: send(handler, CONTENT),
            "packed": packed,
            "flaky": lambda handler: next(flaky, lambda h: send(h, CONTENT))(handler),
            "403": status(403),
            "404": status(404),
            "503": status(503),
            "reset": reset,
            "stall": stall,
            "trickle": trickle,
            "endless": endless,
            "loop": redirect_to_itself,
            "html": lambda handler: send(handler, b"<html>sign in</html>"),
            "wrong": lambda handler: send(handler, CONTENT[:-1] + b"\0"),
            "short": lambda handler: send(handler, CONTENT[:1000], len(CONTENT)),
        }
    )
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "MAX_BYTES", 4 * 2**20)


BAD = {
    "403": ("HTTP 403 Forbidden", 1),
    "404": ("HTTP 404 Not Found", 1),
    "503": ("HTTP 503 Service Unavailable", 2),
    "reset": ("reset by peer", 2),
    "stall": ("timed out", 2),
    "trickle": ("too slow", 1),
    "endless": ("sent more than", 1),
    "loop": ("redirects", None),
    "html": ("wrong content", 1),
    "wrong": ("wrong content", 1),
    "short": ("IncompleteRead|bytes read", 2),
}


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_mirror_is_named_and_leaves_no_file(
    server: Server, behaviour: str, tmp_path: Path
) -> None:
    reason, tries = BAD[behaviour]
    before = len(server.requests)
    begun = time.monotonic()
    with pytest.raises(
        MirrorsError, match=rf"(?s)no mirror delivered file.*{behaviour}: .*{reason}"
    ):
        fetch("file", SHA256, [server.address(behaviour)], tmp_path / "file", QUICK)
    assert time.monotonic() - begun < 10
    assert not list(tmp_path.iterdir())
    if tries:
        assert len(server.requests) - before == tries


@pytest.mark.parametrize("behaviour", BAD)
def test_the_next_mirror_is_tried(server: Server, behaviour: str, tmp_path: Path) -> None:
    tried = [server.address(behaviour), server.address("good")]
    assert fetch("file", SHA256, tried, tmp_path / "file", QUICK) == tried[1]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", ["good", "packed", "flaky"])
def test_a_mirror_that_delivers_in_the_end_is_enough(
    server: Server, behaviour: str, tmp_path: Path
) -> None:
    fetch("file", SHA256, [server.address(behaviour)], tmp_path / "file", QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_mirror_has_its_reason(server: Server, tmp_path: Path) -> None:
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


def test_https_that_fails_is_not_asked_in_plain_http(server: Server, tmp_path: Path) -> None:
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
