"""Files appear whole or not at all."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from stages.lib import files
from stages.lib.errors import UserError


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/file"
    files.write(path, b"one")
    files.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file"]


def test_the_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    files.write(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_names_the_file_that_was_wanted(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match=f"'{tmp_path}/file'"):
        files.write(tmp_path / "file", b"")


def test_what_a_killed_process_left_is_not_written_through(tmp_path: Path) -> None:
    partial, victim = tmp_path / ".file.partial", tmp_path / "victim"
    partial.write_bytes(b"")
    partial.chmod(0o600)
    files.write(tmp_path / "file", b"new")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode
    victim.write_bytes(b"untouched")
    partial.symlink_to(victim)
    files.write(tmp_path / "file", b"newer")
    assert (tmp_path / "file").read_bytes() == b"newer"
    assert not (tmp_path / "file").is_symlink()
    assert victim.read_bytes() == b"untouched"


def test_content_and_then_name_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps what has been flushed; no test can cut it."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flush(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    files.write(tmp_path / "file", b"new")
    assert done == ["file", "rename", "folder"]


def test_an_error_names_the_file_even_if_the_partial_one_cannot_be_deleted(tmp_path: Path) -> None:
    (tmp_path / ".file.partial").mkdir()
    with pytest.raises(OSError, match=f"'{tmp_path}/file'"):
        files.write(tmp_path / "file", b"")


def test_a_scratch_folder_is_empty_and_goes_away(tmp_path: Path) -> None:
    left_by_a_kill = tmp_path / ".target.partial.d/file"
    left_by_a_kill.parent.mkdir()
    left_by_a_kill.write_bytes(b"")
    with files.scratch(tmp_path / "target") as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").write_bytes(b"")
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_disk_is_refused(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    files.check_space(tmp_path, 1)
    with pytest.raises(UserError, match=rf"{tmp_path} has [\d,]+ bytes free, {2 * free:,} are"):
        files.check_space(tmp_path, 2 * free)


def test_json_is_rounded_and_finite(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    files.write_json(path, {"loss": 1 / 3, "count": 7, "recall": {"0": 1.0}})
    assert json.loads(path.read_text()) == {"loss": 0.333333, "count": 7, "recall": {"0": 1.0}}
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text())["count"] == 7
