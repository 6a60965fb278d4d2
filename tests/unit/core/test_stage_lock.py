"""One writer in a folder, also where the file system has no locks."""

import errno
import fcntl
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from digits.core.errors import UserError
from digits.core.stage_lock import stage_lock
from tests.project import ROOT

HOLD = """
import sys
from pathlib import Path
from digits.core.stage_lock import stage_lock
{without}
with stage_lock(Path(sys.argv[1]), "first"):
    print("ready", flush=True)
    sys.stdin.read()
"""
# as NFS and FUSE answer, for the file in the project; other file systems of the machine have locks
WITHOUT = """
import errno, fcntl
flock = fcntl.flock
def refuse(file, how):
    if file.name == sys.argv[1]:
        raise OSError(errno.ENOLCK, "No locks available")
    flock(file, how)
fcntl.flock = refuse
"""


@pytest.mark.parametrize("has_locks", [True, False])
def test_a_second_writer_is_refused_until_the_first_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_locks: bool
) -> None:
    lock, flock = tmp_path / "lock", fcntl.flock

    def refuse(file: TextIO, how: int) -> None:
        if file.name == str(lock):
            raise OSError(errno.ENOLCK, "No locks available")
        flock(file, how)

    if not has_locks:
        monkeypatch.setattr(fcntl, "flock", refuse)
    code = HOLD.format(without="" if has_locks else WITHOUT)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(lock)], cwd=ROOT, **pipes) as first:
        assert first.stdout.readline() == b"ready\n"
        advice = rf"^process {first.pid} \(first\) is at work in this folder; wait for it"
        with pytest.raises(UserError, match=advice), stage_lock(lock):
            pass
        first.kill()
        first.wait()
    with stage_lock(lock, "second"):
        assert "(second)" in lock.read_text()
