"""Files that appear whole or not at all."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path`, making its folder; a reader sees the old file or the new one.

    The bytes go to `.NAME.partial` beside the target, are flushed to the disk and renamed, and
    the new name is flushed too. A partial file left by a killed process is deleted by the next
    write. There is one writer at a time: core/stage_lock.py sees to that.

    Raises:
        OSError: the disk is full or the folder not writable; `path`, which the message names, is
            then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # reopened, it would keep its mode, owner or link target
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):  # the message is to name `path`
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
        raise
    with suppress(OSError):  # some file systems flush no folder, and `path` is whole already
        _flush(path.parent)


def _flush(folder: Path) -> None:
    """Flush the names in a folder to the disk, so that a power cut does not undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write `content` as indented JSON, floats to 6 significant digits.

    Raises:
        ValueError: a number is not finite, which JSON cannot say.
    """
    rounded = {
        key: float(f"{value:.6g}") if isinstance(value, float) else value
        for key, value in content.items()
    }
    write(path, (json.dumps(rounded, indent=2, allow_nan=False) + "\n").encode())
