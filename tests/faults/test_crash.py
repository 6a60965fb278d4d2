"""`make repro` after a crash at any write, dvc's own included, and under odd circumstances."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages import paths
from tests.project import STAGES, Project, outputs, ran

REPRO = [sys.executable, "-m", "tools.repro"]
AT_A_WRITE = str(Path(__file__).parent / "at_a_write")
WRITES = 300  # that a run may pass over, of about a thousand


@pytest.fixture
def project(project: Project) -> Project:
    """The reproduced project as before its first run, whose results it must have again."""
    project.expected = project.results()
    project.lock = lock_of(project)
    begin(project)
    return project


def begin(project: Project) -> None:
    for stage in STAGES:
        for name in outputs(stage):
            (project.path / name).unlink(missing_ok=True)
    (project.path / "dvc.lock").unlink(missing_ok=True)
    for folder in (".dvc/tmp", ".dvc/cache", paths.CHECKPOINT.parent):
        shutil.rmtree(project.path / folder, ignore_errors=True)


def lock_of(project: Project) -> object:
    return YAML(typ="safe").load(project.read("dvc.lock"))


def crashes(project: Project, skip: int) -> bool:
    """Run to the first new place after so many; False if the run came to its end before."""
    passed = project.path.parent / "passed"
    passed.write_bytes(b"")
    files = {"died": str(project.path.parent / "died"), "passed": str(passed)}
    plan = {"folder": f"{project.path}/", "skip": skip, **files}
    started = subprocess.Popen(
        REPRO,
        cwd=project.path,
        env=project.environment() | {"WRITES": json.dumps(plan), "PYTHONPATH": AT_A_WRITE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # the group that is killed
    )
    output, _ = started.communicate(timeout=600)
    assert started.returncode in (0, -signal.SIGKILL), output
    return started.returncode != 0


@pytest.mark.promise(
    "`make repro` that is killed with all its children at any write, also of dvc's own files, ends "
    "with the same bits when it is run again",
    quick=10,
    thorough=300,
)
def test_a_crash_at_any_write_is_made_up_for(
    project: Project, times: int, rng: random.Random, request: pytest.FixtureRequest
) -> None:
    """The thorough run dies at each place in turn, and then begins again."""
    thorough = request.config.getoption("--thorough")
    for _ in range(times):
        while not crashes(project, 0 if thorough else rng.randrange(WRITES)):
            check(project)
            begin(project)
            if thorough:
                (project.path.parent / "died").unlink()
    print((project.path.parent / "died").read_text())
    project.run(*REPRO)
    check(project)


def check(project: Project) -> None:
    results = project.results()
    assert [name for name in results if results[name] != project.expected[name]] == []
    assert lock_of(project) == project.lock
    assert project.changed() == set()


@pytest.mark.promise(
    "With the cache on another file system, links instead of copies, umask 077, no home and no git "
    "identity, the bits are the same and a second run has nothing to do",
    quick=1,
    thorough=3,
)
def test_odd_circumstances_change_nothing(project: Project, times: int) -> None:
    cache = Path("/dev/shm", f"cache-{os.getpid()}")
    odd = {"HOME": "/proc/home"} | dict.fromkeys(
        ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), ""
    )
    before = os.umask(0o077)
    try:
        for kind in ("symlink", "hardlink,symlink", "reflink,copy")[:times]:
            begin(project)
            settings = f'[cache]\n    dir = {cache}\n    type = "{kind}"\n'
            (project.path / ".dvc/config.local").write_text(settings)
            assert ran(project.run(*REPRO, **odd)) == STAGES
            check(project)
            assert ran(project.run(*REPRO, **odd)) == []
            model = project.path / paths.MODEL
            assert model.is_symlink() == ("symlink" in kind)
            verified = project.run(sys.executable, "-m", "tools.verify", **odd)
            assert verified.endswith(": 0 wrong\n")
            model.unlink()
            project.dvc("checkout", **odd)
            check(project)
            shutil.rmtree(cache)
    finally:
        os.umask(before)
        shutil.rmtree(cache, ignore_errors=True)
