"""Remotes, really: a folder, SSH, WebDAV and S3, served on loopback and driven by `dvc`."""

import hashlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests import servers
from tests.project import Project
from tests.servers import Folder, Remote

DIRECT = {"NO_PROXY": servers.HOST, "no_proxy": servers.HOST}

# what `dvc push` does, until it has opened, made or renamed so many things below a folder
PUSH_UNTIL = """
import os, signal, sys
left, folder = int(sys.argv[1]), sys.argv[2]
def count(event, arguments):
    global left
    if event in ("open", "os.mkdir", "os.rename") and str(arguments[0]).startswith(folder):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
from dvc.cli import main
sys.exit(main(["push"]))
"""


@pytest.fixture(params=servers.SERVERS)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    with ExitStack() as stack:
        yield stack.enter_context(servers.SERVERS[request.param](tmp_path))


@pytest.fixture
def project(project: Project, remote: Remote) -> Project:
    """The reproduced project; the remote is its default one, as the README says to set it up."""
    project.name_remote("origin", {"url": remote.url, "verify": "true"} | remote.settings)
    with (project.path / ".dvc/config.local").open("w") as config:
        config.write("['remote \"origin\"']\n")
        config.writelines(f"    {key} = {value}\n" for key, value in remote.secrets.items())
    return project


def clone_of(project: Project, name: str) -> Project:
    """A fresh clone, and in it the secrets, which are not in git."""
    clone = Project(project.path.parent / name, project.mirror)
    project.git("clone", "-q", ".", str(clone.path))
    assert not (clone.path / ".dvc/config.local").exists()
    shutil.copy(project.path / ".dvc/config.local", clone.path / ".dvc/config.local")
    return clone


def objects(project: Project) -> dict[str, bytes]:
    """The objects that `dvc push` sends and `dvc pull` brings: the outputs that are not in git."""
    cache = Folder(project.path / ".dvc/cache", "").objects()
    stages = yaml.safe_load(project.read("dvc.lock"))["stages"].values()
    names = {
        out["md5"]
        for stage in stages
        for out in stage["outs"]
        if out["path"].startswith(("data/", "models/")) and out["path"] != "models/README.md"
    }
    return {name: cache[name] for name in names if name in cache}


def kill_a_push(project: Project, remote: Remote, chance: random.Random) -> None:
    """SIGKILL `dvc push` when a part, drawn by chance, of what it has to send has arrived."""
    command = [sys.executable, "-m", "dvc", "push"]
    if remote.gate:
        size = sum(map(len, objects(project).values()))
        remote.gate.close_after(chance.randrange(size // 20, size * 4 // 5))
    else:
        command = [sys.executable, "-c", PUSH_UNTIL, str(chance.randint(1, 20)), remote.url]
    push = subprocess.Popen(
        command,
        cwd=project.path,
        env=project.environment() | DIRECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if remote.gate:
            assert remote.gate.closed.wait(180)
            assert push.poll() is None
            push.kill()
        assert push.wait(180) == -signal.SIGKILL
    finally:
        push.kill()
        push.wait(60)
    if remote.gate:
        remote.gate.close_after(None)
    settle(remote)


def settle(remote: Remote) -> None:
    """Wait until the server has put down what it had in hand."""
    before = None
    while before != (before := remote.objects()):
        time.sleep(0.5)


def verify(project: Project, *arguments: str, fails: bool = False) -> list[str]:
    said = project.run(sys.executable, "verify.py", *arguments, fails=fails, **DIRECT)
    return said.splitlines()


@pytest.mark.promise(
    "After a SIGKILL in the middle of `dvc push`, `make verify` names each object that arrived "
    "in part; without them, the next push makes the remote whole",
    quick=1,
    thorough=5,
)
def test_a_killed_push_is_made_up_for(
    project: Project, remote: Remote, times: int, chance: random.Random
) -> None:
    whole = objects(project)
    for _ in range(times):
        remote.clear()
        kill_a_push(project, remote, chance)
        assert remote.objects() != whole
        in_part = servers.wrong(remote)
        if not remote.gate:
            assert not in_part, "a folder gets each object under its name when it is whole"
        if in_part:
            lines = [line for line in verify(project, "--remove", fails=True) if "wrong: " in line]
            assert len(lines) == len(in_part)
            for name in in_part:
                assert any(f"/{name[:2]}/{name[2:]}: has md5 " in line for line in lines)
        project.dvc("push", **DIRECT)
        assert remote.objects() == whole
        print(f"{remote.url}: {len(in_part)} in part")


def test_a_clone_has_all_of_it_and_takes_nothing_rotten(
    project: Project, remote: Remote, chance: random.Random
) -> None:
    project.dvc("push", "--run-cache", **DIRECT)
    whole = objects(project)
    assert len(whole) == 11
    assert remote.objects() == whole
    (said,) = verify(project)
    assert said.endswith(" files in the workspace: 0 wrong")
    assert " objects and runs in the cache, 14 objects and runs on remote origin, " in said

    clone = clone_of(project, "clone")
    clone.dvc("pull", **DIRECT)
    assert objects(clone) == whole
    said = clone.dvc("repro", **DIRECT)
    assert "Running stage" not in said
    assert said.count("didn't change, skipping") == 7
    assert "up to date" in clone.dvc("status", "dvc.yaml", **DIRECT)
    assert clone.git("status", "--porcelain") == ""

    name = chance.choice(sorted(whole))
    content = bytearray(whole[name])
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    remote.overwrite(name, bytes(content))
    late = clone_of(project, "late")
    said = late.dvc("pull", fails=True, **DIRECT)
    assert "failed" in said.lower()
    assert objects(late).keys() == whole.keys() - {name}
    for found, data in objects(late).items():
        assert hashlib.md5(data).hexdigest() == found
    for path in (project.path / "data").rglob("*.*"):
        pulled = late.path / path.relative_to(project.path)
        assert not pulled.is_file() or pulled.read_bytes() == path.read_bytes()
    if not remote.gate:
        assert name not in remote.objects(), "in a folder, DVC deletes what it found rotten"
        return
    (line,) = (line for line in verify(late, fails=True) if line.startswith("wrong: "))
    assert f"/{name[:2]}/{name[2:]}: has md5 " in line


def test_a_server_whose_port_is_taken_gets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((servers.HOST, 0)) as other:
        taken, free_port = other.getsockname()[1], servers.free_port
        ports = iter([taken])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports, None) or free_port())
        command = [sys.executable, "-m", "http.server", "{port}", "--bind", servers.HOST]
        with servers.serving(command, tmp_path / "log") as port:
            assert port != taken
            socket.create_connection((servers.HOST, port)).close()
