"""What a killed dvc leaves of its own files is mended before the next one reads them."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from dvc.repo import Repo

from digits.core.errors import UserError
from tests.project import ROOT
from tools import repro

LOCK, RWLOCK = Path("dvc.lock"), Path(".dvc/tmp/rwlock")


@pytest.fixture(autouse=True)
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A folder with the lock file of HEAD, which it has committed; returns its content."""
    monkeypatch.chdir(tmp_path)
    Path(".dvc/tmp").mkdir(parents=True)
    shutil.copy(ROOT / ".dvc/config", ".dvc/config")
    LOCK.write_bytes(subprocess.check_output(["git", "show", "HEAD:dvc.lock"], cwd=ROOT))
    for command in ("init -q", "add dvc.lock", "-c user.name=T -c user.email=t@e commit -qm T"):
        subprocess.run(["git", *command.split()], check=True)
    return LOCK.read_bytes()


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_torn_lock_comes_back(
    whole: bytes, is_kept: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the copy, or from HEAD; what dvc accepts as well, it runs again itself."""
    if is_kept:
        repro.mend(LOCK)
        subprocess.run(["git", "rm", "-q", "--cached", "dvc.lock"], check=True)
    places = [0, 1, *random.Random(0).sample(range(len(whole)), 10)]
    for place in places:
        LOCK.write_bytes(whole[:place])
        if repro.stages_of(LOCK) is None:
            assert repro.mend(LOCK) == repro.stages_of(LOCK)
            assert LOCK.read_bytes() == whole
            line = "dvc.lock: dvc was stopped while it wrote it; the last whole one is back\n"
            assert capsys.readouterr().err == line


def test_a_lock_that_lost_stages_in_this_run_comes_back(whole: bytes) -> None:
    stages = repro.mend(LOCK)
    assert {"check", "train", "card"} <= stages
    LOCK.write_bytes(whole[: whole.index(b"\n  train:") + 1])
    assert repro.stages_of(LOCK) < stages
    assert repro.mend(LOCK, stages) == stages
    assert LOCK.read_bytes() == whole


def test_without_an_earlier_lock_a_torn_one_goes() -> None:
    subprocess.run(["git", "update-ref", "-d", "HEAD"], check=True)
    LOCK.write_bytes(b"schema: '2.0'\nstages:\n  check:\n    c")
    assert repro.mend(LOCK) == frozenset()
    assert not LOCK.exists()
    assert repro.mend(LOCK) == frozenset()


def test_a_merge_is_not_undone(whole: bytes) -> None:
    repro.mend(LOCK)
    conflict = b"<<<<<<< HEAD\n=======\n>>>>>>> other\n" + whole
    LOCK.write_bytes(conflict)
    with pytest.raises(UserError, match=r"^dvc.lock: a merge has left its conflict here"):
        repro.make_whole()
    assert LOCK.read_bytes() == conflict


def entry(pid: int) -> str:
    return json.dumps({"write": {"/somewhere": {"pid": pid, "cmd": "dvc repro"}}, "read": {}})


def test_a_rwlock_that_nobody_holds_goes() -> None:
    now = time.time()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    zombie = subprocess.Popen([sys.executable, "-c", ""])  # as in a container without an init
    while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    for content, written, stays in (
        ("", now, False),
        (entry(1)[:-9], now, False),
        (entry(dead.pid), now, False),
        (entry(zombie.pid), time.time(), False),
        (entry(os.getpid()), now, True),
        (entry(os.getpid()), now - 10**6, False),  # of an earlier process with this number
        ("{}", now, False),
    ):
        RWLOCK.write_text(content)
        os.utime(RWLOCK, (written, written))
        repro.release()
        assert RWLOCK.exists() == stays, content
        RWLOCK.unlink(missing_ok=True)
    zombie.wait()


def test_the_guard_is_dvcs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with core.hardlink_lock, where a file that stays would lock dvc out."""
    for setting in ("", "    hardlink_lock = true\n"):
        config = (ROOT / ".dvc/config").read_text().replace("[core]\n", f"[core]\n{setting}")
        Path(".dvc/config").write_text(config)
        with Repo(".") as repo:
            assert bool(repo.config["core"].get("hardlink_lock")) == bool(setting)
        RWLOCK.write_text("")
        repro.release()
        assert not RWLOCK.exists()
        assert Path(f"{RWLOCK}.lock").exists() == (not setting)
        Path(f"{RWLOCK}.lock").unlink(missing_ok=True)


@pytest.mark.parametrize("target", ["verify REMOVE", "repro FORCE"])
@pytest.mark.parametrize(
    ("value", "means_yes"), [("1", True), ("yes", True), ("0", False), ("no", False), ("", False)]
)
def test_no_means_no(target: str, value: str, means_yes: bool) -> None:
    name, variable = target.split()
    command = ["make", "--dry-run", name, f"{variable}={value}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (f"--{variable.lower()}" in done.stdout) == means_yes
