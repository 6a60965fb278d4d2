"""Rot is found: one flipped bit, wherever bytes are kept."""

import hashlib
import os
import random
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

import verify
from stages import evaluate
from stages.lib import model, splits
from stages.lib.errors import UserError
from stages.lib.model import DigitNet
from tests import digits
from tests.project import ROOT, Project

# in the run cache: a size, which DVC's hashes leave out, and the 0 of 0.1, which YAML reads as .1
SPARED = re.compile(rb"(?<= size: )\d+|(?<= )0(?=\.)")


@pytest.fixture
def project(project: Project) -> Project:
    """The reproduced project, and a remote folder with all that is in its cache."""
    project.name_remote("away", {"url": "../../away"})
    shutil.copytree(project.path / ".dvc/cache", away(project), copy_function=shutil.copyfile)
    return project


def outputs(project: Project) -> dict[str, str]:
    """Where in a cache or remote each output is that DVC caches."""
    stages = yaml.safe_load(project.read("dvc.lock"))["stages"]
    return {
        out["path"]: f"files/md5/{out['md5'][:2]}/{out['md5'][2:]}"
        for stage in stages.values()
        for out in stage["outs"]
        if out["path"].startswith(("data/", "models/")) and out["path"] != "models/README.md"
    }


def cache(project: Project) -> Path:
    return project.path / ".dvc/cache"


def away(project: Project) -> Path:
    return project.path.parent / "away"


def kept(project: Project) -> dict[str, list[Path]]:
    """Where this project's bytes are, by kind."""
    path = project.path
    places = {
        "model": path / "models",
        "prepared": path / "data/prepared",
        "raw": path / "data/raw",
        "cache": cache(project) / "files",
        "remote": away(project) / "files",
        "runs": cache(project) / "runs",
        "remote runs": away(project) / "runs",
    }
    return {
        kind: sorted(
            file
            for file in place.rglob("*")
            if file.is_file() and file.name not in (".gitignore", "README.md")
        )
        for kind, place in places.items()
    }


def flip(path: Path, chance: random.Random) -> None:
    """Turn one bit over as a failing disk does: name, size, times and mode stay."""
    content, status = bytearray(path.read_bytes()), path.stat()
    spared = [found.span() for found in SPARED.finditer(content) if "runs" in path.parts]
    place = chance.randrange(8 * len(content))
    while any(start <= place // 8 < end for start, end in spared):
        place = chance.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    overwrite(path, bytes(content), status)


def overwrite(path: Path, content: bytes, status: os.stat_result) -> None:
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def wrong(project: Project) -> list[str]:
    return [line for found in verify.check(project.path) for line in found.wrong]


def line_on(lines: list[str], path: Path, project: Project) -> str:
    """The one line that names a file of the workspace, the cache or the remote."""
    names = {str(path), str(path.relative_to(project.path.parent)).partition("/")[2]}
    (line,) = (line for line in lines if line.partition(": ")[0] in names)
    return line


@pytest.mark.promise(
    "`make verify` names every file, object and entry of the run cache in which a bit has flipped",
    quick=21,
    thorough=210,
)
def test_every_flipped_bit_is_named(project: Project, times: int, chance: random.Random) -> None:
    places = kept(project)
    assert times % len(places) == 0
    for _ in range(times // len(places)):
        chosen = [chance.choice(files) for files in places.values()]
        before = {path: (path.read_bytes(), path.stat()) for path in chosen}
        expected = {path: md5(path) for path in chosen}
        for path in chosen:
            flip(path, chance)
        lines = wrong(project)
        assert len(lines) == len(chosen)
        for path in chosen:
            line = line_on(lines, path, project)
            if "runs" in path.parts:
                assert ": is not the run that its name says; " in line
                continue
            assert f"has md5 {md5(path)}, " in line
            assert f" says {expected[path]}; " in line
        for path, (content, status) in before.items():
            overwrite(path, content, status)
    assert wrong(project) == []


def test_what_it_says_to_do_mends_it(project: Project, chance: random.Random) -> None:
    objects = outputs(project)
    (run,) = (path for path in kept(project)["runs"] if b"stages.export" in path.read_bytes())
    damaged = [
        project.path / "models/model.safetensors",
        cache(project) / objects["data/prepared/train.safetensors"],
        away(project) / objects["data/raw/t10k-images-idx3-ubyte.gz"],
        run,
    ]
    assert "up to date" in project.dvc("status", "dvc.yaml")
    for path in damaged:
        flip(path, chance)
    assert "up to date" in project.dvc("status", "dvc.yaml"), "DVC looks at sizes and times"

    said = project.run(sys.executable, "verify.py", "--remove", fails=True).splitlines()
    assert said[-1].startswith("verify: ")
    assert said[-1].endswith(": 4 wrong")
    assert " in the cache (1 not here), " in said[-1]
    assert " on remote away (1 not here), " in said[-1]
    assert [path.exists() for path in damaged] == [True, False, False, False]
    assert sum("; deleted, then `dvc " in line for line in said) == 2
    assert sum("; deleted, then its stage, when it next runs, " in line for line in said) == 1
    damaged[0].unlink()  # "delete it, then `dvc checkout` ... brings it back"
    project.dvc("checkout", "models/model.safetensors")
    project.dvc("commit", "dvc.yaml")
    project.dvc("push")
    project.dvc("repro", "--force", "--single-item", "export")

    (said,) = project.run(sys.executable, "verify.py").splitlines()
    assert said.startswith("verify: ")
    assert said.endswith(" files in the workspace: 0 wrong")
    stored = len([path for path in cache(project).rglob("*") if path.is_file()])
    assert f" {stored} objects and runs in the cache, {stored} objects and runs on remote " in said
    assert run.exists()


def test_what_cannot_be_read_is_wrong_and_stays(project: Project) -> None:
    """A loop of links stands for a server that does not answer: root cannot read it either."""
    unread = [
        cache(project) / outputs(project)["models/model.onnx"],
        away(project) / outputs(project)["models/model.onnx"],
        *(kept(project)[kind][0] for kind in ("runs", "remote runs")),
    ]
    for path in unread:
        path.unlink()
        path.symlink_to(path)
    lines = [line for found in verify.check(project.path, remove=True) for line in found.wrong]
    assert len(lines) == len(unread)
    for path in unread:
        assert ": cannot be read (" in line_on(lines, path, project)
        assert "; it may be whole and stays; " in line_on(lines, path, project)
        assert path.is_symlink()


def test_what_was_never_pulled_is_not_here_and_not_wrong(project: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone", project.mirror)
    project.git("clone", "-q", ".", str(clone.path))
    cache, remote, workspace = verify.check(clone.path)
    assert (cache.whole, len(cache.absent), cache.wrong) == (0, 11, [])
    stored = len([path for path in away(project).rglob("*") if path.is_file()])
    assert (remote.whole, len(remote.absent), remote.wrong) == (stored, 0, [])
    assert "models/model.safetensors" in workspace.absent
    assert len(workspace.absent) == 11
    assert workspace.wrong == []


def test_what_git_holds_is_missed(project: Project) -> None:
    (project.path / "metrics/evaluate.json").unlink()
    (line,) = wrong(project)
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, chance: random.Random
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "recipes/described.yaml").read_bytes())
    test = digits.split(50)
    splits.save(evaluate.TEST, test)
    network = DigitNet([4, "pool"], None, 0.5, torch.Generator().manual_seed(0)).eval()
    model.save(evaluate.MODEL, network, test.normalisation)
    whole, status = evaluate.MODEL.read_bytes(), evaluate.MODEL.stat()
    for _ in range(times):
        flip(evaluate.MODEL, chance)
        with pytest.raises(UserError, match="models/model.safetensors: "):
            evaluate.main()
        overwrite(evaluate.MODEL, whole, status)
    assert not evaluate.METRICS.exists()
    evaluate.main()
    assert evaluate.METRICS.exists()
