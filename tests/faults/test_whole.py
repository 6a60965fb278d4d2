"""A file is the old one or the new one, whole, whenever its writer dies and whatever is full."""

import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.core import files
from tests.project import ROOT

SMALL_DISK = 2**20  # bytes
VERSIONS = [bytes([version]) * size for version, size in ((0, 2**22), (1, 2**21))]
WRITER = """
import itertools, sys
from pathlib import Path
from digits.core import files

print("ready", flush=True)
for version, size in itertools.cycle([(0, 2**22), (1, 2**21)]):
    files.write(Path(sys.argv[1]), bytes([version]) * size)
"""


@pytest.mark.promise(
    "A file that is being written when its writer is killed is the old one or the new one",
    quick=5,
    thorough=100,
)
def test_a_killed_writer_leaves_whole_files(tmp_path: Path, times: int, rng: random.Random) -> None:
    path, partial = tmp_path / "file", tmp_path / ".file.partial"
    files.write(path, VERSIONS[0])
    hits = 0  # kills in the middle of a write
    for kills in itertools.count(1):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
        hits += partial.exists()
        assert path.read_bytes() in VERSIONS
        if hits == times:
            break
        assert kills < 100 * times
    files.write(path, b"next")
    assert os.listdir(tmp_path) == ["file"], "the next write cleans up"


@pytest.mark.promise(
    "A write that the system cuts short leaves the old file, no partial one and a clear error",
    quick=10,
    thorough=100,
)
def test_a_file_that_may_not_grow_keeps_its_old_content(
    tmp_path: Path, times: int, rng: random.Random
) -> None:
    path, limit = tmp_path / "file", 2**20
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for _ in range(times):
        content = bytes(limit + rng.randrange(1, 2**21))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(OSError, match=f"File too large: '{path}'"):
                files.write(path, content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
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
def test_a_full_disk_keeps_the_old_file(small_disk: Path, times: int, rng: random.Random) -> None:
    path = small_disk / "file"
    old = bytes(SMALL_DISK // 2)
    files.write(path, old)
    for _ in range(times):
        size = rng.randrange(SMALL_DISK // 2 + 1, 2 * SMALL_DISK)
        with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
            files.write(path, b"n" * size)
        assert path.read_bytes() == old
        assert os.listdir(small_disk) == ["file"]
