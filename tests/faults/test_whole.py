"""Files are the old ones or the new ones, whole, whenever a writer dies and whatever is full."""

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stages import train
from stages.lib import files
from stages.lib.errors import UserError
from tests.faults import writer
from tests.project import ROOT

SMALL_DISK = 2**20  # bytes
PATIENCE = 600  # seconds; a kill takes less than one
MODE = 0o666 & ~writer.UMASK

Versions = list[dict[str, bytes]]


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    """What the files are that a writer writes, in either version; the second is there."""
    versions: Versions = []
    for version in (1, 0):
        writer.write(tmp_path, version)
        versions.append({name: (tmp_path / name).read_bytes() for name in writer.NAMES})
    for name in writer.NAMES:
        (tmp_path / name).chmod(MODE)  # as the writer's own
    return versions


@contextmanager
def writers(folder: Path, *options: str) -> Iterator[Callable[[float], None]]:
    """Yields a function that begins a writer and kills it after so many seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.writer", str(folder), *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE

    def kill_one(seconds: float) -> None:
        assert time.monotonic() < deadline
        process.stdin.write("\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        wait_for_end(child)

    with process:
        yield kill_one
        process.stdin.close()


def damaged(folder: Path, versions: Versions) -> list[str]:
    """The files that are neither version."""
    return [
        name
        for name in writer.NAMES
        if (folder / name).read_bytes() not in [version[name] for version in versions]
    ]


def partials(folder: Path) -> set[tuple[str, int]]:
    """What was not written to its end: names, and the times of the last bytes."""
    return {(path.name, path.stat().st_mtime_ns) for path in folder.glob(".*.partial")}


@pytest.mark.promise(
    "A file that is being written when its writer is killed is the old one or the new one",
    quick=10,
    thorough=100,
)
def test_a_killed_writer_leaves_whole_files(
    tmp_path: Path, versions: Versions, times: int, chance: random.Random
) -> None:
    hits = 0  # kills in the middle of a write
    with writers(tmp_path) as kill_one:
        while hits < times:
            before = partials(tmp_path)
            kill_one(chance.uniform(0, 0.3))
            hits += not partials(tmp_path) <= before
            assert not damaged(tmp_path, versions)
            assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in writer.NAMES} == {
                MODE
            }
    writer.write(tmp_path, 1)
    assert sorted(os.listdir(tmp_path)) == sorted(writer.NAMES), "the next write cleans up"


def test_a_writer_that_writes_in_place_is_caught(
    tmp_path: Path, versions: Versions, chance: random.Random
) -> None:
    """So that whole files mean something."""
    with writers(tmp_path, "in-place") as kill_one:
        while not damaged(tmp_path, versions):
            kill_one(chance.uniform(0, 0.3))


def wait_for_end(child: int) -> None:
    """Until the writer's parent has collected it; a process in its last moments still writes."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.001)


LIMITED = """
import json, resource, sys
from pathlib import Path
from stages.lib import files

path, (limit, *sizes) = Path(sys.argv[1]), json.loads(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for size in sizes:
    try:
        files.write(path, b"n" * size)
    except OSError as error:
        print(error)
"""


@pytest.mark.promise(
    "A write that the system cuts short leaves the old file, no partial one and a clear error",
    quick=10,
    thorough=100,
)
def test_a_file_that_may_not_grow_keeps_its_old_content(
    tmp_path: Path, times: int, chance: random.Random
) -> None:
    path, limit = tmp_path / "file", 2**20
    path.write_bytes(b"old")
    sizes = [limit + chance.randrange(1, 2**21) for _ in range(times)]
    command = [sys.executable, "-c", LIMITED, str(path), json.dumps([limit, *sizes])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"[Errno 27] File too large: '{path}'"] * times
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(disk)]
    mounted = shutil.which("mount") and subprocess.run(["mount", *options], capture_output=True)
    if not mounted or mounted.returncode:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.promise(
    "A full disk leaves the old file, no partial one and a clear error", quick=10, thorough=100
)
def test_a_full_disk_keeps_the_old_file(
    small_disk: Path, times: int, chance: random.Random
) -> None:
    path = small_disk / "file"
    old = bytes(SMALL_DISK // 2)
    files.write(path, old)
    for _ in range(times):
        size = chance.randrange(SMALL_DISK // 2 + 1, 2 * SMALL_DISK)
        with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
            files.write(path, b"n" * size)
        assert path.read_bytes() == old
        assert os.listdir(small_disk) == ["file"]


def test_training_says_before_it_starts_that_the_disk_is_too_small(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "recipes/described.yaml", small_disk / "params.yaml")
    monkeypatch.chdir(small_disk)
    with pytest.raises(UserError, match=r"has [\d,]+ bytes free, [\d,]+ are needed; make room"):
        train.main()
    assert os.listdir(small_disk) == ["params.yaml"]
