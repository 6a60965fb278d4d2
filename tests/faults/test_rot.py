"""A single flipped bit is noticed wherever bytes are kept."""

import json
import os
import random
import re
import shutil
from pathlib import Path

import pytest
import torch

from digits.core import split
from digits.core.config import Architecture
from digits.core.errors import UserError
from digits.network import model_file
from digits.network.digitnet import DigitNet
from stages import evaluate, paths
from tests import drawn
from tests.project import ROOT, Project
from tests.stored import hash_of, outputs, path_of
from tools import verify

# in the run cache: a size, which DVC's hashes leave out, and the 0 of 0.1, which YAML reads as .1
SPARED = re.compile(rb"(?<= size: )\d+|(?<= )0(?=\.)")


@pytest.fixture
def project(project: Project) -> Project:
    """The reproduced project, a study's lock, and a remote folder with all of the cache."""
    study = {"path": "metrics/study/screen.csv", "hash": "md5"}
    study["md5"] = hash_of(project.read(study["path"]))
    lock = {"schema": "2.0", "stages": {"screen": {"cmd": "", "outs": [study]}}}
    (project.path / "study/dvc.lock").write_text(json.dumps(lock))
    project.name_remote("away", {"url": "../../away"})
    shutil.copytree(cache(project), away(project), copy_function=shutil.copyfile)
    return project


def cache(project: Project) -> Path:
    return project.path / ".dvc/cache"


def away(project: Project) -> Path:
    return project.path.parent / "away"


def files_below(folder: Path) -> list[Path]:
    spared = (".gitignore", "README.md")
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in spared)


def flip(path: Path, rng: random.Random) -> None:
    """Flip one bit as a failing disk does: name, size, times and mode stay."""
    content, status = bytearray(path.read_bytes()), path.stat()
    spared = [match.span() for match in SPARED.finditer(content) if "runs" in path.parts]
    place = rng.randrange(8 * len(content))
    while any(start <= place // 8 < end for start, end in spared):
        place = rng.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    overwrite(path, bytes(content), status)


def overwrite(path: Path, content: bytes, status: os.stat_result) -> None:
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def problems(project: Project, remove: bool = False) -> list[str]:
    return [line for place in verify.check(project.path, remove) for line in place.wrong]


def line_about(path: Path, lines: list[str], project: Project) -> str:
    """The one line that names a file of the workspace, the cache or the remote."""
    names = {str(path), str(path.relative_to(project.path.parent)).partition("/")[2]}
    (line,) = (line for line in lines if line.partition(": ")[0] in names)
    return line


@pytest.mark.promise(
    "`make verify` names every file, object and entry of the run cache in which a bit has flipped",
    quick=21,
    thorough=210,
)
def test_every_flipped_bit_is_named(project: Project, times: int, rng: random.Random) -> None:
    folders = [
        *(project.path / name for name in ("models", "data/prepared", "data/raw")),
        *(place / name for place in (cache(project), away(project)) for name in ("files", "runs")),
    ]
    assert times % len(folders) == 0
    for _ in range(times // len(folders)):
        damaged = [rng.choice(files_below(folder)) for folder in folders]
        before = {path: (path.read_bytes(), path.stat()) for path in damaged}
        for path in damaged:
            flip(path, rng)
        lines = problems(project)
        assert len(lines) == len(damaged)
        for path, (content, status) in before.items():
            line = line_about(path, lines, project)
            if "runs" in path.parts:
                assert ": is not the run that its name says; " in line
            else:
                assert f"has md5 {hash_of(path.read_bytes())}, " in line
                assert f" says {hash_of(content)}; " in line
            overwrite(path, content, status)
    assert problems(project) == []


def test_its_advice_repairs_everything(
    project: Project,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    objects = outputs(project)
    runs = files_below(cache(project) / "runs")
    (run,) = (path for path in runs if b"stages.export" in path.read_bytes())
    damaged = [
        project.path / "models/model.safetensors",
        path_of(objects["data/prepared/train.safetensors"], cache(project)),
        path_of(objects["data/raw/t10k-images-idx3-ubyte.gz"], away(project)),
        run,
    ]
    assert "up to date" in project.dvc("status", "dvc.yaml")
    for path in damaged:
        flip(path, rng)
    assert "up to date" in project.dvc("status", "dvc.yaml"), "DVC looks at sizes and times"

    monkeypatch.chdir(project.path)
    monkeypatch.setattr("sys.argv", ["verify", "--remove"])
    with pytest.raises(SystemExit, match="^1$"):
        verify.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("verify: ")
    assert lines[-1].endswith(": 4 wrong")
    assert " in the cache (1 not here), " in lines[-1]
    assert " on remote away (1 not here), " in lines[-1]
    assert [path.exists() for path in damaged] == [True, False, False, False]
    assert sum("; deleted, then `dvc " in line for line in lines) == 2
    assert sum("; deleted, then its stage stores it again when " in line for line in lines) == 1
    damaged[0].unlink()  # "delete it, then `dvc checkout` ... brings it back"
    project.dvc("checkout", "models/model.safetensors")
    project.dvc("commit", "dvc.yaml")
    project.dvc("push")
    project.dvc("repro", "--force", "--single-item", "export")

    with pytest.raises(SystemExit, match="^0$"):
        verify.main()
    (line,) = capsys.readouterr().out.splitlines()
    stored = len(files_below(cache(project)))
    assert f" {stored} objects and runs in the cache, {stored} objects and runs on remote " in line
    assert line.endswith(" files in the workspace: 0 wrong")
    assert run.exists()


def test_unreadable_objects_are_named_and_stay(project: Project) -> None:
    """A loop of links stands for a server that does not answer: root cannot read it either."""
    unreadable = [
        path
        for place in (cache(project), away(project))
        for path in (
            path_of(outputs(project)["models/model.onnx"], place),
            files_below(place / "runs")[0],
        )
    ]
    for path in unreadable:
        path.unlink()
        path.symlink_to(path)
    lines = problems(project, remove=True)
    assert len(lines) == len(unreadable)
    for path in unreadable:
        line = line_about(path, lines, project)
        assert ": cannot be read (" in line
        assert "; it may be intact and is kept; " in line
        assert path.is_symlink()


def test_files_never_pulled_are_absent_and_not_wrong(project: Project, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    project.git("clone", "-q", ".", str(clone))
    cached, remote, workspace = verify.check(clone)
    assert (cached.whole, len(cached.absent), cached.wrong) == (0, 11, [])
    stored = len(files_below(away(project)))
    assert (remote.whole, len(remote.absent), remote.wrong) == (stored, 0, [])
    assert "models/model.safetensors" in workspace.absent
    assert (len(workspace.absent), workspace.wrong) == (11, [])


@pytest.mark.parametrize(
    ("path", "lock"),
    [("metrics/evaluate.json", "dvc.lock"), ("metrics/study/screen.csv", "study/dvc.lock")],
)
def test_a_missing_file_of_git_is_wrong(project: Project, path: str, lock: str) -> None:
    (project.path / path).unlink()
    (line,) = problems(project)
    assert line.startswith(f"{path}: is missing; {lock} says md5 ")
    assert "`git restore` brings it back" in line


def test_a_remote_that_does_not_answer_is_an_error(project: Project) -> None:
    config = project.path / ".dvc/config"
    config.write_text(config.read_text().replace("../../away", "ssh://127.0.0.1:9/away"))
    with pytest.raises(UserError, match="remote away: cannot be read: "):
        verify.check(project.path)


@pytest.mark.promise(
    "`evaluate` refuses a model in which a bit has flipped", quick=50, thorough=1000
)
def test_evaluate_refuses_a_flipped_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, rng: random.Random
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "recipes/described.yaml", paths.PARAMETERS)
    test = drawn.split(50)
    split.save(paths.TEST, test)
    network = DigitNet(Architecture(blocks=[4, "pool"]), torch.Generator().manual_seed(0))
    model_file.save(paths.MODEL, network, test.normalisation)
    whole, status = paths.MODEL.read_bytes(), paths.MODEL.stat()
    for _ in range(times):
        flip(paths.MODEL, rng)
        with pytest.raises(UserError, match="models/model.safetensors: "):
            evaluate.main()
        overwrite(paths.MODEL, whole, status)
    assert not paths.TEST_METRICS.exists()
    evaluate.main()
    assert paths.TEST_METRICS.exists()
