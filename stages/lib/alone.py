"""One stage at a time in a folder, and none that outlives the dvc that started it."""

import fcntl
import os
import re
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from stages.lib.errors import UserError, exit_with

CLAIM = Path(".dvc/tmp/stage")
PERIOD = 0.5  # seconds between two looks at dvc
PROCESSES = Path("/proc")  # on Linux; elsewhere the parent alone is watched


def run_stage(main: Callable[[], None], claim: Path = CLAIM) -> None:
    """End as `exit_with` does, after running `main` with the folder claimed and dvc watched.

    What may run beside the stages takes another `claim`.
    """

    def alone() -> None:
        with claimed(claim):
            stop_with_dvc()
            main()

    exit_with(alone)


@contextmanager
def claimed(path: Path = CLAIM) -> Generator[None, None, None]:
    """Keep other stages out of this folder; the kernel ends the claim with the process.

    DVC's own lock ends with dvc, which a stage may outlive by a moment.

    Raises:
        UserError: another process has the claim.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            raise UserError(
                f"{holder} is at work in this folder; wait for its end, or kill it, and run again"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} ({Path(sys.argv[0]).stem})")
        file.flush()
        yield


def stop_with_dvc() -> None:
    """End this process soon after the dvc that started it; a stage run by hand goes on.

    Raises:
        UserError: dvc has ended already.
    """
    if "DVC_STAGE" not in os.environ:  # which dvc sets
        return
    dvc = caller()
    if has_ended(dvc):
        raise UserError("the dvc that started this stage has ended")

    def watch() -> None:
        while caller() == dvc:
            time.sleep(PERIOD)
        try:
            print(f"error: dvc (process {dvc}) has ended; so does its stage", file=sys.stderr)
        finally:
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def caller() -> int:
    """The nearest ancestor that does more than pass this command on, as `sh -c` does."""
    process, command = os.getppid(), os.fsencode(" ".join(sys.orig_argv[1:]))
    try:
        while command in (PROCESSES / f"{process}/cmdline").read_bytes():
            status = (PROCESSES / f"{process}/stat").read_text()
            process = int(status.rpartition(")")[2].split()[1])
    except OSError:  # there is no /proc, or it has just ended
        pass
    return process


def has_ended(dvc: int) -> bool:
    """Whether `caller` found, in place of dvc, whoever adopts a process whose parent has ended.

    That is one of another group or, in a container, its first process, which may be of our group.
    dvc is Python, or a program of that name; what the command line says is no help: a shell's may
    name dvc, and that of a script or notebook which calls dvc's API need not.
    """
    try:
        if os.getpgid(dvc) != os.getpgrp():
            return True
    except OSError:
        return True
    try:
        program = Path(os.readlink(PROCESSES / f"{dvc}/exe")).name
    except OSError:  # there is no /proc, or it does not tell
        return False
    return dvc == 1 and not re.search("python|dvc", program)
