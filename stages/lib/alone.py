"""One stage at a time in a folder, and none that outlives the dvc that started it."""

import fcntl
import os
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


def run_stage(main: Callable[[], None]) -> None:
    """End as `exit_with` does, after running `main` with the folder claimed and dvc watched."""

    def alone() -> None:
        with claimed():
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
    dvc = _caller()
    try:
        ended = os.getpgid(dvc) != os.getpgrp()  # whoever adopts a process is of another group
    except OSError:
        ended = True
    if ended:
        raise UserError("the dvc that started this stage has ended")

    def watch() -> None:
        while _caller() == dvc:
            time.sleep(PERIOD)
        try:
            print(f"error: dvc (process {dvc}) has ended; so does its stage", file=sys.stderr)
        finally:
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def _caller() -> int:
    """The nearest ancestor that does more than pass this command on, as `sh -c` does."""
    process = os.getppid()
    try:
        while b"-m stages." in (PROCESSES / f"{process}/cmdline").read_bytes():
            status = (PROCESSES / f"{process}/stat").read_text()
            process = int(status.rpartition(")")[2].split()[1])
    except OSError:  # there is no /proc, or it has just ended
        pass
    return process
