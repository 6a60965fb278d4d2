"""`make repro`: `dvc repro`, which gets its own files back whole if it was stopped in writing them.

dvc rewrites dvc.lock in place, several times in a run, and so it does .dvc/tmp/rwlock, where it
notes which process works on which file. Ctrl-C or a kill in such a moment leaves a part, which
every later dvc refuses. So the last whole lock file is kept in .dvc/tmp and put back, and a rwlock
in which nobody is at work is deleted. Arguments are those of `dvc repro`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.lock import make_lock
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import load_yaml
from voluptuous import Invalid

from digits.core import files
from digits.core.errors import exit_with
from stages import paths
from tools.conflicts import refuse_conflicts
from tools.git import git

LOCK = Path("dvc.lock")
DVC = Path(".dvc")
TMP = DVC / "tmp"
RWLOCK = TMP / "rwlock"


def repro(arguments: Sequence[str] = ()) -> int:
    """Run `dvc repro` to its end and return its exit code."""
    if {"-f", "--force"} & {*arguments}:
        shutil.rmtree(paths.CHECKPOINT.parent, ignore_errors=True)  # or nothing would be trained
    stages = make_whole()

    # Ctrl-C reaches dvc and its stage by themselves: wait for them to end in order
    ours = signal.signal(signal.SIGINT, lambda *_: None)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, "-m", "dvc", "repro", *arguments]
    code = subprocess.run(command, env=os.environ | {"PATH": path}).returncode
    mend(LOCK, stages)
    signal.signal(signal.SIGINT, ours)
    return code


def make_whole() -> frozenset[str]:
    """Make dvc's own files whole; returns the stages of its lock file.

    Raises:
        UserError: a merge has left a conflict, which only its author can resolve.
    """
    refuse_conflicts()
    release()
    return mend(LOCK)


def mend(lock: Path, least: frozenset[str] = frozenset()) -> frozenset[str]:
    """Keep a copy of a lock file that is whole; put the last one back if it is torn.

    Torn is a file that dvc refuses, or that lacks some of the stages `least`. Returns its stages.
    """
    kept = TMP / lock.name
    if not lock.is_file():
        return frozenset()
    stages = stages_of(lock)
    if stages is not None and stages >= least:
        files.write(kept, lock.read_bytes())
        return stages
    whole = kept.read_bytes() if kept.is_file() else git("show", f"HEAD:./{lock}").encode()
    if whole:
        files.write(lock, whole)
    else:  # the first run was stopped: there was no lock before it
        lock.unlink()
    print(f"{lock}: dvc was stopped while it wrote it; the last whole one is back", file=sys.stderr)
    return (whole and stages_of(lock)) or frozenset()


def stages_of(lock: Path) -> frozenset[str] | None:
    """The stages in a lock file; None if dvc would refuse it."""
    try:
        content: Any = COMPILED_LOCKFILE_SCHEMA(load_yaml(lock))
    except (DvcException, Invalid):
        return None
    return frozenset(content.get("stages", {}))


def release() -> None:
    """Delete the rwlock if it is torn, or if no process in it is still at work.

    Process numbers come again after a reboot and in every new container. A process that is younger
    than the file did not write it.
    """
    if not RWLOCK.is_file():
        return
    config: Any = Config(str(DVC))
    with_links = config["core"].get("hardlink_lock", False)
    guard = make_lock(str(TMP / "rwlock.lock"), tmp_dir=str(TMP), hardlink_lock=with_links)
    with suppress(DvcException), guard:  # somebody else holds the guard: somebody is at work
        written = RWLOCK.stat().st_mtime
        try:
            workers = list(workers_in(json.loads(RWLOCK.read_bytes())))
        except (ValueError, LookupError, TypeError, AttributeError):
            workers = []
        if not any(is_at_work(pid, written) for pid in workers):
            RWLOCK.unlink()


def workers_in(rwlock: Any) -> Iterator[int]:
    """The processes that a rwlock names."""
    for writer in rwlock.get("write", {}).values():
        yield int(writer["pid"])
    for readers in rwlock.get("read", {}).values():
        yield from (int(reader["pid"]) for reader in readers)


def is_at_work(pid: int, moment: float) -> bool:
    """Whether there is such a process, alive, and it was there at this moment."""
    try:
        process = psutil.Process(pid)
        is_dead = process.status() == psutil.STATUS_ZOMBIE  # for as long as nobody waits for it
        return not is_dead and process.create_time() <= moment
    except psutil.Error:
        return False


if __name__ == "__main__":
    exit_with(lambda: sys.exit(repro(sys.argv[1:])))
