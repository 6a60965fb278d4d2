"""A mirror that misbehaves costs a line of the message, never a file or the patience."""

import dataclasses
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages import download
from stages.lib import mirrors
from stages.lib.mirrors import MirrorsError, Patience
from tests import digits
from tests.mirror import BAD, Mirror, redirect, write_certificate
from tests.project import Project, make_project

# what is silent is left after `silence`, far from the limit of the pace, which is `connect` later;
# a trickle waits for that limit
QUICK = Patience(connect=5, silence=2, tries=2, pause=0.01, rate=20_000)
TRICKLE = dataclasses.replace(QUICK, connect=0.5)
BOUND = 60  # seconds; what is tried here takes 8 at most on a quiet machine


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with the four files of drawn digits, and their digests."""
    folder = tmp_path_factory.mktemp("files")
    return folder, digits.write_idx(folder, train=100, test=30)


@pytest.fixture
def folder(
    drawn: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of the four files, whose digests are the pinned ones for this test."""
    folder, pinned = drawn
    monkeypatch.setattr(download, "MNIST", pinned)
    monkeypatch.setattr(mirrors, "Patience", lambda: QUICK)
    monkeypatch.setattr(mirrors, "MAX_BYTES", 4 * 2**20)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty at the beginning."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def mirror(folder: Path) -> Iterator[Mirror]:
    with Mirror({path.name: path.read_bytes() for path in folder.iterdir()}) as mirror:
        yield mirror


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.promise(
    "A mirror that misbehaves is left for the next; without one, a message says why",
    quick=1,
    thorough=4,
)
@pytest.mark.parametrize("behaviour", BAD)
def test_a_misbehaving_mirror(
    behaviour: str, times: int, chance: random.Random, folder: Path, temporary: Path,
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """For each file: first with a good mirror behind the bad one, then with the bad one alone."""
    monkeypatch.setenv("MNIST_MIRROR", mirror.address(behaviour))
    quick = TRICKLE if BAD[behaviour][1] == "too slow" else QUICK
    monkeypatch.setattr(mirrors, "Patience", lambda: quick)
    shutil.copytree(folder, download.RAW)
    for name in chance.sample(sorted(download.MNIST), times):
        (download.RAW / name).unlink()
        begun = time.monotonic()
        monkeypatch.setattr(download, "MNIST_MIRRORS", [mirror.address("good")])
        download.fetch_mnist()
        assert (download.RAW / name).read_bytes() == (folder / name).read_bytes()
        before = list(mirror.requests)
        assert f"/{behaviour}/{name}" in before
        download.fetch_mnist()
        assert mirror.requests == before, "what is there and right is not asked for again"

        (download.RAW / name).unlink()
        monkeypatch.setattr(download, "MNIST_MIRRORS", [])
        monkeypatch.setattr(mirrors, "Patience", lambda: dataclasses.replace(quick, tries=1))
        with pytest.raises(MirrorsError) as caught:
            download.fetch_mnist()
        assert time.monotonic() - begun < BOUND
        first, reason, *ways_out = str(caught.value).splitlines()
        assert first == f"no mirror delivered {name}:"
        assert re.search(f"^  {mirror.address(behaviour)}: .*({BAD[behaviour][1]})", reason)
        assert reason.isprintable()
        assert len(reason) < 300
        assert "\n".join(ways_out) == download.WAYS_OUT
        assert names(download.RAW) == sorted(set(download.MNIST) - {name})
        assert not names(temporary)
        shutil.copy(folder / name, download.RAW / name)


@pytest.mark.promise("What fails in https is never asked for in http", quick=2, thorough=8)
def test_https_is_not_left(
    times: int, chance: random.Random, folder: Path, temporary: Path, tmp_path: Path,
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A plain server behind https, a certificate of nobody, and a server that sends us to http."""
    certificate = write_certificate(tmp_path / "certificate.pem")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    download.RAW.mkdir(parents=True)
    pinned = download.MNIST
    plain_http = {
        f"to-{name}": redirect(f"{mirror.address('good')}/{name}") for name in download.MNIST
    }
    monkeypatch.setattr(download, "MNIST_MIRRORS", [])
    with Mirror(files, plain_http, certificate) as secure:
        for _ in range(times):
            name = chance.choice(sorted(pinned))
            monkeypatch.setattr(download, "MNIST", {name: pinned[name]})
            cases = [
                (mirror.address("good").replace("http:", "https:"), "SSL", None),
                (secure.address("good"), "certificate verify failed|self.signed", None),
                (secure.address(f"to-{name}"), "redirects from https to http", certificate),
            ]
            for address, reason, trusted in cases:
                monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted or ""))
                monkeypatch.setenv("MNIST_MIRROR", address)
                with pytest.raises(MirrorsError, match=reason):
                    download.fetch_mnist()
                assert not names(download.RAW)
                assert not names(temporary)
            assert not mirror.requests, "asked in plain http"
            # the certificate is what it was refused for
            monkeypatch.setenv("MNIST_MIRROR", secure.address("good"))
            download.fetch_mnist()
            assert names(download.RAW) == [name]
            (download.RAW / name).unlink()


@pytest.fixture
def impatient(tmp_path: Path) -> Project:
    """The project on drawn digits; its download waits for seconds where ours waits for longer."""
    project = make_project(tmp_path)
    for name, old, new in (
        ("stages/lib/mirrors.py", "connect: float = 5", "connect: float = 1"),
        ("stages/lib/mirrors.py", "silence: float = 10", "silence: float = 1"),
        ("stages/download.py", "first + MNIST_MIRRORS", "first + os.environ['MIRRORS'].split()"),
    ):
        code = (project.path / name).read_text()
        assert old in code
        (project.path / name).write_text(code.replace(old, new))
    return project


@pytest.mark.promise(
    "`python -m stages.download` ends in files or in one message", quick=1, thorough=10
)
def test_the_command(times: int, chance: random.Random, impatient: Project, tmp_path: Path) -> None:
    raw, temporary = impatient.path / "data/raw", tmp_path / "temporary"
    temporary.mkdir()
    raw_before = names(raw)
    served = {path.name: path.read_bytes() for path in impatient.mirror.iterdir()}
    with Mirror(served) as mirror:

        def run(public: str, fails: bool) -> str:
            return impatient.run(
                sys.executable, "-m", "stages.download", fails=fails, MNIST_MIRROR=bad,
                MIRRORS=public, TMPDIR=str(temporary), NO_PROXY="*",
            )  # fmt: skip

        for behaviour in chance.sample(sorted(BAD), times):
            bad = mirror.address(behaviour)
            said = run("", fails=True).splitlines()
            assert said[0].startswith("error: no mirror delivered train-images-idx3-ubyte.gz:")
            assert said[1].startswith(f"  {bad}: ")
            assert said[2:] == download.WAYS_OUT.splitlines()
            assert names(raw) == raw_before
            assert run(mirror.address("good"), fails=False).splitlines() == [
                "download: mnist is in data/raw"
            ]
            assert not names(temporary)
            for name, content in served.items():
                assert (raw / name).read_bytes() == content
            asked = list(mirror.requests)
            run(mirror.address("good"), fails=False)
            assert mirror.requests == asked, "what is there and right is not asked for again"
            for name in served:
                (raw / name).unlink()
