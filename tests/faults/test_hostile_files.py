"""Files that mean harm are refused in a line or two; none runs code, hangs or takes memory."""

import gzip
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

from stages import check, evaluate
from stages.download import encode_idx
from stages.lib.errors import exit_with
from stages.lib.parameters import Parameters
from stages.lib.splits import Split
from tests.faults import cases, hostile


def write(folder: Path, kind: str, content: bytes) -> Path:
    path = folder / f"{kind}-file"
    path.write_bytes(content)
    return path


@pytest.fixture
def right(tmp_path: Path) -> cases.Right:
    return cases.right_files(tmp_path)


@pytest.mark.promise(
    "A hostile IDX file is refused, or read as gzip reads it", quick=200, thorough=4000
)
def test_idx(times: int, chance: random.Random, tmp_path: Path) -> None:
    read = 0
    for _ in range(times):
        kind, content = cases.idx_file(chance)
        found = hostile.read(write(tmp_path, kind, content))
        if found is not None:
            read += 1
            plain = gzip.decompress(content)
            header = struct.pack(f">{1 + found.ndim}I", 0x0800 + found.ndim, *found.shape)
            assert plain == header + found.numpy().tobytes()
            assert found.shape[1:] == ((28, 28) if kind == "images" else ())
            assert kind == "images" or found.max() <= 9
    assert 0 < read < times / 2


def test_every_truncation_of_an_idx_file_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(gzip.decompress(encode_idx(cases.LABELS)))
    for length in range(len(packed)):
        assert hostile.read(write(tmp_path, "labels", packed[:length])) is None
    assert hostile.read(write(tmp_path, "labels", packed)).tolist() == cases.LABELS.tolist()


@pytest.mark.promise(
    "A hostile model, split or checkpoint is refused, or whole; no code in it runs",
    quick=200,
    thorough=4000,
)
def test_tensors(times: int, chance: random.Random, tmp_path: Path, right: cases.Right) -> None:
    canary = tmp_path / "canary"
    read = 0
    for _ in range(times):
        kind, content = cases.tensor_file(chance, right, canary)
        found = hostile.read(write(tmp_path, kind, content))
        assert not canary.exists(), "code ran"
        if isinstance(found, Split):
            assert found.images.shape == (len(found), 28, 28)
            assert found.images.dtype == found.labels.dtype == torch.uint8
            assert found.labels.shape == (len(found),)
            assert found.labels.max() <= 9
        elif found is not None and kind == "model":
            assert all(weight.isfinite().all() for weight in found[0].state_dict().values())
        read += found is not None
    assert read < times / 2
    for kind, content in right.items():
        assert hostile.read(write(tmp_path, kind, content)) is not None


def test_what_unpickles_runs_code(tmp_path: Path) -> None:
    """So that a missing canary means something."""
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(cases.Canary(canary)))
    assert canary.exists()


@pytest.mark.promise(
    "A hostile params.yaml is refused with a line for each problem, or has all values in range",
    quick=150,
    thorough=3000,
)
def test_parameters(
    times: int, chance: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read = 0
    for _ in range(times):
        found = hostile.read(write(tmp_path, *cases.parameter_file(chance)))
        if found is not None:
            read += 1
            assert Parameters.model_validate(found.model_dump()) == found
            sections = found.model_dump().values()
            numbers = [value for section in sections for value in section.values()]
            numbers = [value for value in numbers if isinstance(value, int | float)]
            assert all(math.isfinite(value) and abs(value) < 2**32 for value in numbers)
    assert read < times / 2
    assert not (tmp_path / "canary").exists(), "code ran"


@pytest.mark.parametrize(
    "content",
    [
        b"seed: 9999-12-31T23:59:59.9999999",
        b"%YAML 1.3\n---\n" + cases.DESCRIBED,
        b"%YAML 1.1\n---\ntrain: {seed: -_}",
        b"%TAG ! tag:a,2000:\n---\n" + cases.DESCRIBED,
    ],
)
def test_where_the_yaml_library_has_no_error_of_its_own(content: bytes, tmp_path: Path) -> None:
    assert hostile.read(write(tmp_path, "params", content)) is None


@pytest.mark.promise(
    "Under `python -O` as well, hostile files end with exit code 1, no traceback, and less than "
    "100 MB of memory taken",
    quick=100,
    thorough=500,
)
def test_without_assertions(
    times: int, chance: random.Random, tmp_path: Path, right: cases.Right
) -> None:
    """Files that ask for much, then drawn ones; each is read in a fork of its own."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in cases.bombs(right).items():
        write(folder, name, content)
    expected = {path.name: "" for path in folder.iterdir()}
    while len(expected) < times:
        kind, content = chance.choice(
            [
                cases.idx_file,
                cases.parameter_file,
                lambda chance: cases.tensor_file(chance, right, tmp_path / "canary"),
            ]
        )(chance)
        path = write(folder, f"{kind}-{len(expected)}", content)
        expected[path.name] = "" if hostile.read(path) is None else "read"
    # the largest that is right: so that the bound is none on MNIST, and a rise is seen
    most = struct.pack(">4I", 2051, 60_000, 28, 28) + bytes(60_000 * 784)
    expected[write(folder, "images-most", gzip.compress(most, 1)).name] = "read"

    found = hostile.read_apart(folder, "-O")
    assert set(found) == set(expected)
    largest = found.pop("images-most-file")
    assert largest["outcome"] == "read"
    assert 40 < largest["rise"] < 150
    for name, line in found.items():
        start = expected[name] or f"error: {folder / name}"
        assert line["outcome"].startswith(start), line
        assert len(line["outcome"].splitlines()) <= 10, line
        assert line["rise"] < 100, line
    assert not (tmp_path / "canary").exists(), "code ran"


@pytest.mark.parametrize(
    ("stage", "name", "content"),
    [
        ("check", "params.yaml", b"a: &a [*a]"),
        ("evaluate", "models/model.safetensors", pickle.dumps([])),
    ],
)
def test_a_stage_ends_with_one_line(stage: str, name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(cases.DESCRIBED)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(hostile.ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {name}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", ["folder", "endless link", "secret"])
@pytest.mark.parametrize("stage", [check, evaluate])
def test_what_cannot_be_read_is_one_line_too(
    stage: ModuleType, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes(cases.DESCRIBED)
    path = evaluate.MODEL if stage is evaluate else check.PARAMETERS
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "endless link":
            path.symlink_to(path.name)
        case _:
            path.touch(mode=0)
            if os.access(path, os.R_OK):
                pytest.skip("this user may read everything")
    with pytest.raises(SystemExit, match=rf"^error: .*'{path}'$"):
        exit_with(stage.main)
