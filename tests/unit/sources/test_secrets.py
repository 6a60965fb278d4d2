"""Credentials are sent to the host that they are for, and shown to nobody."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from digits.core import strict_yaml
from digits.core.config import Download
from digits.core.errors import UserError, without_secrets
from digits.sources import mirrors
from digits.sources.mirrors import MirrorsError, Patience

BODY, SECRET = b"four files", "s3cret"
SHA256 = hashlib.sha256(BODY).hexdigest()
BASIC = "Basic " + base64.b64encode(f"reader:{SECRET}".encode()).decode()
SOON = Patience(connect=1, silence=1, tries=1)


class Guarded(BaseHTTPRequestHandler):
    """Sends BODY to who knows the secret."""

    def do_GET(self) -> None:
        knows = self.headers.get("Authorization") == BASIC
        self.send_response(200 if knows else 401)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Guarded) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_password_in_netrc_or_in_the_variable_is_sent(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MirrorsError, match="HTTP 401 Unauthorized"):
        mirrors.fetch("file", SHA256, [f"http://{server}"], tmp_path / "file", SOON)
    mirrors.fetch("file", SHA256, [f"http://reader:{SECRET}@{server}"], tmp_path / "first", SOON)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login reader password {SECRET}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    mirrors.fetch("file", SHA256, [f"http://{server}"], tmp_path / "second", SOON)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes() == BODY


@pytest.mark.parametrize("address", ["http://u:{}@127.0.0.1:9", "http://127.0.0.1:9/a?k={}"])
def test_a_message_shows_no_secret(tmp_path: Path, address: str) -> None:
    mirror = address.format(SECRET)
    with pytest.raises(MirrorsError) as error:
        mirrors.fetch(f"file?key={SECRET}", SHA256, [mirror], tmp_path / "file", SOON)
    assert SECRET not in str(error.value)
    assert "***" in str(error.value)


def test_params_yaml_may_not_hold_them() -> None:
    file = {"address": f"https://user:{SECRET}@example.com/f.gz", "sha256": 64 * "0"}
    names = ("train_images", "train_labels", "test_images", "test_labels")
    for files in ({name: file for name in names}, [file], file["address"]):
        with pytest.raises(UserError, match=r"\*\*\*@") as error:
            strict_yaml.check(Download, {"source": "own", "files": files}, "params.yaml")
        assert SECRET not in str(error.value)


def test_what_is_no_secret_stays() -> None:
    for text in ("https://example.com/a.gz", "what? 1 = 1", "me@example.com", "/a/b@c"):
        assert without_secrets(text) == text
