"""The lock that keeps a second writer out of a folder."""

import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from digits.core.errors import UserError

LOCK = Path(".dvc/tmp/stage")
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some network file systems


@contextmanager
def stage_lock(path: Path = LOCK, name: str = "python") -> Generator[None, None, None]:
    """Hold the lock while a stage works; the kernel frees it when the process ends.

    DVC's own lock ends with dvc, and a stage may outlive a dvc that is killed.

    Raises:
        UserError: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file, ExitStack() as stack:
        try:
            if not _flock(file):
                _flock(stack.enter_context(_stand_in(path)))
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


def _flock(file: TextIO) -> bool:
    """Lock the file; False where its file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return False
    return True


def _stand_in(path: Path) -> TextIO:
    """A file to lock instead, on this machine's own disk: a stage that is left over is here too."""
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"stage-{os.getuid()}-{name}"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    return os.fdopen(os.open(place, flags, 0o600), "r+")
