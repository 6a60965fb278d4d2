"""A single flipped bit is noticed wherever bytes are kept."""

import errno
import json
import os
import random
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from dvc_objects.fs.local import LocalFileSystem
from ruamel.yaml import YAML

from digits.core import config, files, split
from digits.core.config import Architecture
from digits.core.errors import UserError
from digits.network import model_file, model_origin
from digits.network.digitnet import DigitNet
from stages import evaluate, paths
from tests import drawn
from tests.project import ROOT, Project
from tests.stored import hash_of, outputs, path_of
from tools.verify import __main__ as verify

# in the run cache: a size, which DVC's hashes leave out, and the 0 of 0.1, which YAML reads as .1
SPARED = re.compile(rb"(?<= size: )\d+|(?<= )0(?=\.)")


MODELS = ("models/model.safetensors", "models/model.onnx")
VERIFY = [sys.executable, "-m", "tools.verify"]


@pytest.fixture
def project(project: Project) -> Project:
    """The reproduced project, and a remote folder with all of the cache."""
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


def problems(project: Project) -> list[str]:
    return verify.check(project.path).wrong


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
        lines = [line for line in problems(project) if "no whole copy is " not in line]
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

    code, lines = verify_in(project, monkeypatch, capsys, "--remove")
    assert code == 1
    assert lines[-1].endswith(": 4 wrong")
    assert [path.exists() for path in damaged] == [True, False, False, False]
    removed = [place for place, line in enumerate(lines) if line.startswith("deleting ")]
    named = [place for place, line in enumerate(lines) if "; delete it (`make verify" in line]
    assert len(removed) == len(named) == 3
    assert max(named) < min(removed), "first all is named, then it goes"
    damaged[0].unlink()  # "delete it, then `dvc checkout` ... brings it back"
    project.dvc("checkout", "models/model.safetensors")
    project.dvc("commit", "dvc.yaml")
    project.dvc("push")
    project.dvc("repro", "--force", "--single-item", "export")

    code, (line,) = verify_in(project, monkeypatch, capsys)
    assert code == 0
    stored = len(files_below(cache(project)))
    assert f" {stored} objects and runs in the cache, {stored} objects and runs on remote " in line
    assert line.endswith(" files in the workspace: 0 wrong")
    assert run.exists()


def verify_in(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
) -> tuple[int, list[str]]:
    """The exit code and the lines of `make verify`."""
    monkeypatch.chdir(project.path)
    monkeypatch.setattr("sys.argv", ["verify", *arguments])
    with pytest.raises(SystemExit) as end:
        verify.main()
    return int(str(end.value)), capsys.readouterr().out.splitlines()


def test_what_cannot_be_deleted_stops_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = sorted(path_of(outputs(project)[name], cache(project)) for name in MODELS)
    for path in damaged:
        path.chmod(0o644)
        path.write_bytes(b"damaged")
    remove = LocalFileSystem.remove

    def refuse(self: LocalFileSystem, path: str) -> None:
        if path == str(damaged[0]):
            raise PermissionError(errno.EPERM, "Operation not permitted")  # as for chattr +i
        remove(self, path)

    monkeypatch.setattr(LocalFileSystem, "remove", refuse)
    code, lines = verify_in(project, monkeypatch, capsys, "--remove")
    assert code == 1
    assert sum(line.startswith("deleting ") for line in lines) == 2
    assert f"cannot delete {damaged[0]}: [Errno 1] Operation not permitted" in lines
    assert [path.exists() for path in damaged] == [True, False]


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_its_advice_holds_for_linked_caches(project: Project, kind: str) -> None:
    """Workspace and cache share their bytes: both are damaged, and only the remote is whole."""
    project.dvc("config", "--local", "cache.type", kind)
    name = "models/model.safetensors"
    path, stored = project.path / name, path_of(outputs(project)[name], cache(project))
    path.unlink()
    project.dvc("checkout", name)
    assert path.samefile(stored)
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")
    lines = project.run(*VERIFY, "--remove", fails=True).splitlines()
    assert sum(line.startswith("wrong: ") for line in lines) == 2
    assert any(
        line.startswith(f"wrong: {name}: ") and "; delete it, then " in line for line in lines
    )
    path.unlink()
    project.dvc("pull", name)
    assert project.run(*VERIFY).endswith(": 0 wrong\n")


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
    lines = project.run(*VERIFY, "--remove", fails=True).splitlines()
    lines = [line.removeprefix("wrong: ") for line in lines if "cannot be read" in line]
    assert len(lines) == len(unreadable)
    for path in unreadable:
        line = line_about(path, lines, project)
        assert ": cannot be read (" in line
        assert "; it may be intact and is kept; " in line
        assert path.is_symlink()


def test_what_was_never_pulled_is_elsewhere(project: Project, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    project.git("clone", "-q", ".", str(clone))
    result = verify.check(clone)
    cached, remote = result.stores
    assert (result.wrong, cached.whole) == ([], 0)
    assert remote.whole == len(files_below(away(project)))
    assert len(result.elsewhere) == len(outputs(project))
    line = "models/model.onnx: is not in the cache; it is on remote away; `dvc pull` stores it"
    assert line in result.elsewhere


@pytest.mark.promise(
    "`make verify` fails and names every output of which no whole copy is left or which the remote "
    "lacks, and every stage and entry that a lock lacks; of what is missing it says where it is",
    quick=12,
    thorough=120,
)
def test_what_is_missing_is_named(project: Project, times: int, rng: random.Random) -> None:
    stored = outputs(project)
    whole = project.read("dvc.lock")
    for number in range(times):
        name = rng.choice(sorted(stored))
        copies = {
            "in the workspace": project.path / name,
            "in the cache": path_of(stored[name], cache(project)),
            "on remote away": path_of(stored[name], away(project)),
        }
        gone = rng.sample(sorted(copies), 1 + number % 3)
        kept = {place: (copies[place].read_bytes(), copies[place].stat()) for place in gone}
        for place in gone:
            copies[place].unlink()
        lost = cut_out(project.path / "dvc.lock", rng)
        result = verify.check(project.path)
        assert any(line.startswith(f"dvc.lock: {lost}; ") for line in result.wrong), lost
        (project.path / "dvc.lock").write_bytes(whole)
        result = verify.check(project.path)
        lines = [x for x in result.wrong + result.elsewhere if x.startswith(f"{name}: ")]
        if len(gone) == len(copies):
            (line,) = result.wrong
            assert " no whole copy is in the workspace nor in the cache nor on remote " in line
        else:
            rest = " and ".join(place for place in copies if place not in gone)
            assert lines
            assert all(f"; it is {rest}; " in line for line in lines)
            assert result.wrong == [line for line in lines if " is not on remote away" in line]
            assert len(result.wrong) == ("on remote away" in gone)
        for place, (content, status) in kept.items():
            copies[place].write_bytes(content)
            copies[place].chmod(status.st_mode)
    assert problems(project) == []


def cut_out(lock: Path, rng: random.Random) -> str:
    """Take a stage or an entry out of a lock; returns what is then missing."""
    content = json.loads(json.dumps(YAML(typ="safe").load(lock)))
    name = rng.choice(sorted(content["stages"]))
    stage = content["stages"][name]
    if rng.random() < 0.3:
        del content["stages"][name]
        lost = f"has no stage {name}"
    else:
        kind = rng.choice(sorted({"deps", "outs"} & stage.keys()))
        entry = stage[kind].pop(rng.randrange(len(stage[kind])))
        lost = f"stage {name} has no entry {entry['path']}"
    lock.write_text(json.dumps(content))
    return lost


@pytest.mark.parametrize("without", ["the lock", "an object anywhere", "the remote's objects"])
def test_absence_is_an_error(project: Project, without: str) -> None:
    if without == "the lock":
        (project.path / "dvc.lock").unlink()
    else:
        shutil.rmtree(away(project) / "files")
    if without == "an object anywhere":
        shutil.rmtree(cache(project) / "files")
        for name in MODELS:
            (project.path / name).unlink()
    assert "wrong: " in project.run(*VERIFY, fails=True)


def test_a_missing_file_of_git_is_wrong(project: Project) -> None:
    (project.path / "metrics/evaluate.json").unlink()
    (line,) = problems(project)
    assert line.startswith("metrics/evaluate.json: is missing; dvc.lock says md5 ")
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
    for path in (paths.TRAIN, paths.VALIDATION):
        split.save(path, test)
    parameters = config.read(paths.PARAMETERS)
    sections = [parameters.model, parameters.augment, parameters.train]
    model_origin.save(paths.ORIGIN, paths.MODEL, sections, paths.TRAINED_ON)
    files.write_metrics(paths.TRAIN_METRICS, {}, {"temperature": 1})
    files.write(paths.FILES, b"split,file\n")
    whole, status = paths.MODEL.read_bytes(), paths.MODEL.stat()
    for _ in range(times):
        flip(paths.MODEL, rng)
        with pytest.raises(UserError, match="models/model.safetensors: "):
            evaluate.main()
        overwrite(paths.MODEL, whole, status)
    assert not paths.TEST_METRICS.exists()
    evaluate.main()
    assert paths.TEST_METRICS.exists()
