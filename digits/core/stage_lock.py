"""The lock that keeps a second writer out of a folder."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from digits.core.errors import UserError

LOCK = Path(".dvc/tmp/stage")


@contextmanager
def stage_lock(path: Path = LOCK, name: str = "python") -> Generator[None, None, None]:
    """Hold the lock while a stage works; the kernel frees it when the process ends.

    DVC's own lock ends with dvc, and a stage may outlive a dvc that is killed.

    Raises:
        UserError: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            raise UserError(
                f"{holder} is at work in this folder; wait for it to end, or kill it, and run again"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} ({name})")
        file.flush()
        yield
