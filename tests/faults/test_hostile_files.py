"""Hostile files are refused in a line or two; none runs code, hangs or takes memory."""

import gzip
import json
import math
import os
import pickle
import random
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from digits.core.config import Config
from digits.core.errors import exit_with
from digits.core.split import Split
from stages import check, evaluate, paths
from tests.faults.hostile_files import drawn_files
from tests.faults.hostile_files.readers import read
from tests.project import ROOT


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / f"{name}-file"
    path.write_bytes(content)
    return path


@pytest.mark.promise(
    "A hostile IDX file is refused, or read as gzip reads it", quick=200, thorough=4000
)
def test_idx(times: int, rng: random.Random, tmp_path: Path) -> None:
    read_files = 0
    for _ in range(times):
        kind, content = drawn_files.idx_file(rng)
        array = read(write(tmp_path, kind, content))
        if array is not None:
            read_files += 1
            header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
            assert gzip.decompress(content) == header + array.tobytes()
            assert array.ndim == (3 if kind == "images" else 1)
    assert 0 < read_files < times / 2


@pytest.mark.promise(
    "A hostile model, split or checkpoint is refused, or whole; no code in it runs",
    quick=200,
    thorough=4000,
)
def test_tensors(times: int, rng: random.Random, tmp_path: Path) -> None:
    read_files = 0
    for kind, content in drawn_files.whole_files(tmp_path).items():
        assert read(write(tmp_path, kind, content)) is not None
    for _ in range(times):
        kind, content = drawn_files.tensors(rng, tmp_path)
        result = read(write(tmp_path, kind, content))
        assert not (tmp_path / "canary").exists(), "code ran"
        if isinstance(result, Split):
            assert result.images.shape == result.shape.images(len(result))
            assert result.images.dtype == result.labels.dtype == torch.uint8
            assert result.labels.shape == (len(result),)
            assert result.labels.max() < len(result.shape.classes)
        elif result is not None and kind == "model":
            assert all(weight.isfinite().all() for weight in result[0].state_dict().values())
        read_files += result is not None
    assert read_files < times / 2


def test_what_unpickles_runs_code(tmp_path: Path) -> None:
    """So that a missing canary means something."""
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(drawn_files.Canary(canary)))
    assert canary.exists()


@pytest.mark.promise(
    "A hostile params.yaml is refused with a line for each problem, or has all values in range",
    quick=150,
    thorough=3000,
)
def test_parameters(
    times: int, rng: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the canary would appear
    read_files = 0
    for _ in range(times):
        config = read(write(tmp_path, *drawn_files.parameter_file(rng)))
        if config is not None:
            read_files += 1
            content = config.model_dump()
            assert Config.model_validate(content) == config
            for value in (value for section in content.values() for value in section.values()):
                if isinstance(value, int | float):
                    assert math.isfinite(value)
                    assert abs(value) < 2**32
    assert read_files < times / 2
    assert not (tmp_path / "canary").exists(), "code ran"


@pytest.mark.parametrize(
    "content", [b"seed: 9999-12-31T23:59:59.9999999", b"%YAML 1.1\n---\ntrain: {seed: -_}"]
)
def test_where_the_yaml_library_has_no_error_of_its_own(content: bytes, tmp_path: Path) -> None:
    assert read(write(tmp_path, "params", content)) is None


@pytest.mark.promise(
    "Under `python -O` as well, hostile files are refused without a traceback and take less than "
    "100 MB of memory",
    quick=100,
    thorough=500,
)
def test_without_assertions(times: int, rng: random.Random, tmp_path: Path) -> None:
    """Files that ask for much, then drawn ones, in another process."""
    model = drawn_files.whole_files(tmp_path)["model"]
    folder = tmp_path / "files"
    folder.mkdir()
    bombs = drawn_files.bombs(model).items()
    expected = {write(folder, name, content).name: False for name, content in bombs}
    while len(expected) < times:
        kind, content = rng.choice(
            [
                drawn_files.idx_file,
                drawn_files.parameter_file,
                lambda rng: drawn_files.tensors(rng, tmp_path),
            ]
        )(rng)
        path = write(folder, f"{kind}-{len(expected)}", content)
        expected[path.name] = read(path) is not None
    # the largest file that is right: nothing refuses it, and the rise in memory shows
    most = struct.pack(">4I", 2051, 60_000, 28, 28) + bytes(60_000 * 784)
    expected[write(folder, "images-most", gzip.compress(most, 1)).name] = True

    command = [sys.executable, "-O", "-m", "tests.faults.hostile_files.readers", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {name: was_read for name, (was_read, _) in report.items()} == expected
    assert 40 < report.pop("images-most-file")[1] < 150
    assert max(rise for _, rise in report.values()) < 100


@pytest.mark.parametrize("kind", ["folder", "endless link", "secret"])
@pytest.mark.parametrize(("stage", "name"), [(check, "PARAMETERS"), (evaluate, "MODEL")])
def test_a_file_that_cannot_be_read_is_one_line_too(
    stage: ModuleType, name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    if kind == "folder":
        path.mkdir()
    elif kind == "endless link":
        path.symlink_to(path)
    else:
        path.touch(mode=0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
    monkeypatch.setattr(paths, "PARAMETERS", drawn_files.RECIPE)
    monkeypatch.setattr(paths, name, path)
    with pytest.raises(SystemExit, match=rf"^error: .*'{path}'$"):
        exit_with(stage.main)
