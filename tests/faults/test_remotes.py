"""Remotes as a user has them: a folder, SSH, WebDAV and S3, served on loopback."""

import random
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.faults.test_kill import kill_inside
from tests.project import Project
from tests.servers import Folder, Remote
from tests.stored import hash_of, objects_in, outputs

STORED = "/files/md5/"  # in the lines of `make verify` about objects
DIRECT = {"NO_PROXY": servers.HOST, "no_proxy": servers.HOST}


@pytest.fixture
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    with servers.SERVERS[request.param](tmp_path) as remote:
        yield remote


@pytest.fixture
def project(project: Project, remote: Remote) -> Project:
    """The reproduced project; the remote is its default one, set up as the docs say."""
    project.name_remote("origin", {"url": remote.url, "verify": "true"} | remote.settings)
    with (project.path / ".dvc/config.local").open("w") as config:
        config.write("['remote \"origin\"']\n")
        config.writelines(f"    {key} = {value}\n" for key, value in remote.secrets.items())
    return project


def clone_of(project: Project) -> Project:
    """A fresh clone, and in it the secrets, which are not in git."""
    clone = Project(project.path.parent / "clone", project.mirror)
    project.git("clone", "-q", ".", str(clone.path))
    secrets = ".dvc/config.local"
    assert not (clone.path / secrets).exists()
    shutil.copy(project.path / secrets, clone.path / secrets)
    return clone


def objects(project: Project) -> dict[str, bytes]:
    """The objects that `dvc push` sends and `dvc pull` brings, as far as they are here."""
    cached = objects_in(project.path / ".dvc/cache")
    return {name: cached[name] for name in set(outputs(project).values()) if name in cached}


def verify(project: Project, *arguments: str, fails: bool = False) -> list[str]:
    command = [sys.executable, "-m", "tools.verify", *arguments]
    return project.run(*command, fails=fails, **DIRECT).splitlines()


@pytest.mark.parametrize("remote", servers.SERVERS, indirect=True)
def test_a_clone_gets_everything_but_rotten_objects(
    project: Project, remote: Remote, rng: random.Random
) -> None:
    project.dvc("push", "--run-cache", **DIRECT)
    whole = objects(project)
    assert len(whole) == 13
    assert remote.objects() == whole

    name = rng.choice(sorted(whole))
    content = bytearray(whole[name])
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    remote.overwrite(name, bytes(content))
    clone = clone_of(project)
    clone.dvc("pull", fails=True, **DIRECT)
    assert objects(clone) == {key: data for key, data in whole.items() if key != name}
    for path in outputs(clone):
        pulled = clone.path / path
        assert not pulled.exists() or pulled.read_bytes() == project.read(path)

    if remote.url.startswith("/"):
        assert name not in remote.objects(), "in a folder, DVC deletes rotten objects"
        return
    *lines, total = verify(clone, fails=True)
    (line,) = (line for line in lines if STORED in line)
    assert line.startswith("wrong: ")
    assert f"{STORED}{name[:2]}/{name[2:]}: has md5 " in line
    assert " 15 objects and runs on remote origin, " in total


def kill_a_push(project: Project, remote: Folder, rng: random.Random) -> None:
    """SIGKILL `dvc push` while it sends one of its objects."""
    if remote.url == str(remote.path):  # the files that it makes there, else those that it reads
        path, calls = re.escape(remote.url), 100
    else:
        path, calls = "/.dvc/cache/files/md5/../.{30}$", 2000
    fault = kill_inside("dvc", path, rng.randint(1, 12), rng.randrange(calls))
    output = project.dvc("push", fails=True, **fault, **DIRECT)
    assert "ERROR" not in output, output
    before = None
    while before != (before := remote.objects()):  # the server writes what it has received
        time.sleep(0.5)


@pytest.mark.promise(
    "After a SIGKILL in the middle of `dvc push`, `make verify` names each object that arrived "
    "in part; without them, the next push makes the remote whole",
    quick=1,
    thorough=10,
)
@pytest.mark.parametrize("remote", ["folder", "webdav"], indirect=True)
def test_a_killed_push_is_made_up_for(
    project: Project, remote: Folder, times: int, rng: random.Random
) -> None:
    whole = objects(project)
    for _ in range(times):
        shutil.rmtree(remote.path / "files", ignore_errors=True)
        kill_a_push(project, remote, rng)
        assert remote.objects() != whole
        in_part = {name for name, data in remote.objects().items() if hash_of(data) != name}
        print(f"{len(remote.objects())} objects arrived, {len(in_part)} of them in part")
        if in_part:
            output = verify(project, "--remove", fails=True)
            lines = [line for line in output if line.startswith("wrong: ") and STORED in line]
            assert len(lines) == len(in_part)
            for name in in_part:
                assert any(f"{STORED}{name[:2]}/{name[2:]}: has md5 " in line for line in lines)
        project.dvc("push", **DIRECT)
        assert remote.objects() == whole
