"""Files appear whole or not at all."""

import json
import os
import re
import stat
from pathlib import Path

import pytest

from digits.core import files
from digits.core.errors import UserError


def test_a_failed_write_keeps_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new/folder/file"
    files.write(path, b"one")
    files.write(path, b"two")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left .*'{path}'"):
        files.write(path, b"three")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("obstacle", ["file", ".file.partial"])
def test_an_error_names_the_target(tmp_path: Path, obstacle: str) -> None:
    (tmp_path / obstacle).mkdir()
    with pytest.raises(OSError, match=f"'{tmp_path}/file'"):
        files.write(tmp_path / "file", b"")


def test_a_partial_file_left_by_a_kill_is_not_written_through(tmp_path: Path) -> None:
    path, partial, victim = (tmp_path / name for name in ("file", ".file.partial", "victim"))
    partial.write_bytes(b"")
    partial.chmod(0o600)
    files.write(path, b"new")
    victim.write_bytes(b"untouched")
    assert path.stat().st_mode == victim.stat().st_mode, "the mode of any new file"
    partial.symlink_to(victim)
    files.write(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert not path.is_symlink()
    assert victim.read_bytes() == b"untouched"


def test_content_and_then_name_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps what has been flushed; no test can cut it."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flush(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    files.write(tmp_path / "file", b"new")
    assert calls == ["file", "rename", "folder"]


def test_json_is_rounded_and_finite(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    files.write_json(path, {"loss": 1 / 3, "count": 7, "recall": {"0": 1.0}})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text()) == {"loss": 0.333333, "count": 7, "recall": {"0": 1.0}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            '{\n  "a": 1,\n<<<<<<< HEAD\n  "b": 2\n=======\n',
            ", line 3: not JSON, perhaps",
        ),
        ("", ", line 1: not JSON"),
        ("\xff", ": not JSON"),
        ("[]", ": not a JSON object; "),
        (None, ": no such file; "),
    ],
)
def test_json_that_is_none_is_named(tmp_path: Path, content: str | None, problem: str) -> None:
    path = tmp_path / "study.json"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=re.escape(f"{path}{problem}")):
        files.read_json(path)
