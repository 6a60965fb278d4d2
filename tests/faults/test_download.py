"""A misbehaving mirror costs a line of the message; no file is lost and nothing hangs."""

import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.core import errors
from digits.sources import download, mirrors
from digits.sources.download import RemoteFile
from digits.sources.mirrors import MirrorsError, Patience
from tests import drawn
from tests.mirror import BAD, Mirror, redirect, write_certificate

RAW, WAY_OUT = Path("raw"), "Two lines\nthat help."
SECONDS = {"stall": {"silence": 1}, "silent": {"silence": 1}, "trickle": {"deadline": 2}}


def use_patience(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    monkeypatch.setattr(mirrors, "Patience", lambda: Patience(tries=2, pause=0.01, **seconds))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Four files of drawn digits, to be downloaded into the current folder."""
    monkeypatch.chdir(tmp_path)
    drawn.write_idx(Path("drawn"), train=100, test=30)
    use_patience(monkeypatch)
    monkeypatch.setattr(mirrors, "MAX_BYTES", 4 * 2**20)
    return {path.name: path.read_bytes() for path in Path("drawn").iterdir()}


@pytest.fixture
def mirror(files: dict[str, bytes]) -> Iterator[Mirror]:
    with Mirror(files) as mirror:
        yield mirror


def fetch(name: str, content: bytes, *addresses: str) -> None:
    """Fetch a file as a stage does, which ends the process with a message where it cannot."""
    wanted = [RemoteFile(name, hashlib.sha256(content).hexdigest(), name, addresses)]
    errors.exit_with(lambda: download.fetch(wanted, RAW, WAY_OUT))


def arrived() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in RAW.glob("*")}


@pytest.mark.promise(
    "A mirror that misbehaves is skipped; if it is the last, a message says why",
    quick=1,
    thorough=4,
)
@pytest.mark.parametrize("behaviour", BAD)
def test_a_misbehaving_mirror(
    behaviour: str, times: int, rng: random.Random, files: dict[str, bytes],
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Alone, it ends a command with one message; with a good one behind it, the file arrives."""
    use_patience(monkeypatch, **SECONDS.get(behaviour, {}))
    address, reason = mirror.address(behaviour), BAD[behaviour][1]
    requests = 6 if behaviour.startswith("loop") else 1 + ("tries" in reason)
    for name in rng.sample(sorted(files), times):
        mirror.requests.clear()
        with pytest.raises(SystemExit) as caught:
            fetch(name, files[name], address)
        first, line, *ways_out = str(caught.value).splitlines()
        assert first == f"error: no mirror delivered {name}:"
        assert re.fullmatch(f"  {address}: {reason}", line)
        assert line.isprintable()
        assert len(line) < 300
        assert ways_out == WAY_OUT.splitlines()
        assert arrived() == {}
        assert len(mirror.requests) == requests

        fetch(name, files[name], address, mirror.address("good"))
        assert arrived() == {name: files[name]}
        (RAW / name).unlink()


@pytest.mark.promise("What fails in https is never asked for in http", quick=1, thorough=8)
def test_https_is_not_left(
    times: int, rng: random.Random, files: dict[str, bytes], tmp_path: Path,
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A plain server behind https, an unknown certificate, and a redirect to http."""
    certificate = write_certificate(tmp_path / "certificate.pem")
    for name in rng.choices(sorted(files), k=times):
        to_http = redirect(f"{mirror.address('good')}/{name}")
        digest, target = hashlib.sha256(files[name]).hexdigest(), tmp_path / "target"
        with Mirror(files, {"to-http": to_http}, certificate) as secure:
            for address, trusted, reason in [
                (mirror.address("good").replace("http:", "https:"), "", "SSL"),
                (secure.address("good"), "", "certificate verify failed"),
                (secure.address("to-http"), str(certificate), "redirects from https to http$"),
            ]:
                monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
                with pytest.raises(MirrorsError, match=f"{address}: .*{reason}"):
                    mirrors.fetch(name, digest, [address], target)
            assert not target.exists()
            assert not mirror.requests, "asked in plain http"
            mirrors.fetch(name, digest, [secure.address("good")], target)  # now it is trusted
            target.unlink()
