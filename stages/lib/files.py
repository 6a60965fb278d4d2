"""Files that appear whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path`, making its folder; a reader sees the old file or the new one.

    The bytes go to `.NAME.partial` beside the target, are flushed to the disk and renamed.
    A partial file that a killed process left is overwritten by the next write. There is one
    writer at a time, which DVC's lock sees to.

    Raises:
        OSError: the disk is full or the folder not writable; `path` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write `content` as indented JSON, floats to 6 significant digits.

    Raises:
        ValueError: a number is not finite, which JSON has no word for.
    """
    rounded = {
        key: float(f"{value:.6g}") if isinstance(value, float) else value
        for key, value in content.items()
    }
    write(path, (json.dumps(rounded, indent=2, allow_nan=False) + "\n").encode())
