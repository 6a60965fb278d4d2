"""Files that appear whole or not at all."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from digits.core.errors import UserError


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
    """Write `content` as indented JSON, floats to 6 significant digits, also inside of lists.

    Raises:
        ValueError: a number is not finite, which JSON cannot say.
    """
    write(path, (json.dumps(_rounded(content), indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path, writer: str = "the stage that writes it") -> dict[str, Any]:
    """The object in a JSON file; errors name its writer.

    Raises:
        UserError: no such file, or none that `write_json` wrote, such as one with the conflict
            markers of a merge.
    """
    again = f"`git checkout {path}` brings it back, or {writer}"
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {again}") from None
    except ValueError as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(f"{path}{line}: not JSON, perhaps after a merge; {again}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object; {again}")
    return content  # pyright: ignore[reportUnknownVariableType]


def write_metrics(path: Path, shown: Mapping[str, object], details: Mapping[str, object]) -> None:
    """Write metrics: those that `dvc metrics` shows, and the rest in a list, which it skips."""
    write_json(path, {**shown, "details": [details]})


def read_metrics(path: Path) -> dict[str, Any]:
    """What `write_metrics` wrote, the details among the rest.

    Raises:
        UserError: as `read_json`.
    """
    content = read_json(path)
    return content | next(iter(content.get("details", [])), {})


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
