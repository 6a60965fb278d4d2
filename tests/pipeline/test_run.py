"""`make run`, `make repro` and MNIST: the cache, the remote, the mirrors, and then the sample."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from digits.core import files
from digits.sources.catalog import find
from tests import documented
from tests.project import STAGES, Project, ran
from tools import run

RUN = [sys.executable, "-m", "tools.run"]
IMAGES = "data/raw/train-images-idx3-ubyte.gz"


@pytest.fixture(scope="module")
def committed(reproduced: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project as if the drawn digits were MNIST, for DVC and for git."""
    project = reproduced.copy_to(tmp_path_factory.mktemp("mnist") / "project")
    project.change("download", source="mnist", files=None)
    metrics = json.loads(project.read("metrics/evaluate.json"))
    metrics["details"][0]["dataset"] = "mnist"
    files.write_json(project.path / "metrics/evaluate.json", metrics)
    project.dvc("commit", "--force", "dvc.yaml")
    project.git("commit", "-qam", "Call it MNIST")
    return project


@pytest.fixture
def mnist(committed: Project, tmp_path: Path) -> Project:
    return committed.copy_to(tmp_path / "project")


@pytest.mark.parametrize("place", ["cache", "remote"])
def test_what_dvc_has_is_used_without_a_network(mnist: Project, place: str) -> None:
    shutil.rmtree(mnist.path / "data/raw")
    mnist.git("checkout", "data")
    if place == "remote":
        mnist.name_remote("away", {"url": "../../away"})
        shutil.copytree(mnist.path / ".dvc/cache", mnist.path.parent / "away")
        for out in yaml.safe_load(mnist.read("dvc.lock"))["stages"]["download"]["outs"]:
            folder, name = out["md5"][:2], out["md5"][2:]
            (mnist.path / ".dvc/cache/files/md5" / folder / name).unlink()
    output = mnist.run(*RUN, MNIST_MIRROR="")
    assert output.splitlines()[-1].startswith("mnist: ")
    assert ran(output) == []
    assert mnist.git("status", "--porcelain") == "", "params.yaml and dvc.lock are as they were"


def test_without_mnist_it_runs_the_sample_and_says_so(mnist: Project) -> None:
    mnist.change("train", epochs=1)
    shutil.rmtree(mnist.path / ".dvc/cache")
    (mnist.path / IMAGES).unlink()
    before = mnist.read("params.yaml").decode()
    output = mnist.run(*RUN, MNIST_MIRROR="")
    assert ran(output) == STAGES
    lines = output.splitlines()
    begun = lines.index(f"no mirror delivered {Path(IMAGES).name}:")
    first, second, third = find("mnist").mirrors
    assert re.match(rf"{first}: .* \(3 tries\); trying {second}$", lines[begun - 2])
    assert re.match(rf"{second}: .*; trying {third}$", lines[begun - 1]), "as it happens"
    assert [line.split(": ")[0].strip() for line in lines[begun + 1 : begun + 4]] == [
        first, second, third
    ]  # fmt: skip
    assert lines[begun + 4].startswith("MNIST cannot be fetched: no public mirror delivers it")
    assert "built-in sample of 5,000 digits" in lines[begun + 5]
    metrics = json.loads(mnist.read("metrics/evaluate.json"))
    details = metrics["details"][0]
    assert (details["dataset"], details["examples"]) == ("sample", 1000)
    assert lines[-4].startswith("This was the built-in sample, not MNIST:")
    assert f"{100 * metrics['accuracy']:.2f} % of 1,000 test images right" in lines[-4]
    assert "MNIST_MIRROR" in lines[-2]
    (undo,) = re.findall("^For MNIST: `(.*?)`", lines[-3])
    after = mnist.read("params.yaml").decode()
    differing = [
        (old.split("#")[0].split(), new.split("#")[0].split())
        for old, new in zip(before.splitlines(), after.splitlines(), strict=True)
        if old != new
    ]
    assert differing == [
        (["source:", "mnist"], ["source:", "sample"]),
        (["validation_size:", "100"], ["validation_size:", "500"]),
    ]
    lock = yaml.safe_load(mnist.read("dvc.lock"))["stages"]["download"]
    assert lock["params"]["params.yaml"]["download"] == {"source": "sample", "files": None}
    assert "models/README.md" in mnist.git("status", "--porcelain")
    mnist.run("bash", "-c", undo)
    assert mnist.git("status", "--porcelain") == "", "all that it did is undone"


@pytest.mark.parametrize(
    ("source", "mirror"), [("mnist", "/nowhere"), ("kmnist", ""), ("sample", ""), ("own", "")]
)
def test_a_mirror_that_is_set_and_other_data_are_never_replaced(
    project: Project, source: str, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source != "own":
        project.change("download", source=source, files=None)
    before, started = project.read("params.yaml"), []

    def start(command: list[str], **_: object) -> SimpleNamespace:
        started.append(command)
        return SimpleNamespace(returncode=3, stdout="")

    monkeypatch.chdir(project.path)
    monkeypatch.setenv("MNIST_MIRROR", mirror)
    monkeypatch.setattr(run.subprocess, "run", start)
    with pytest.raises(SystemExit, match="3"):
        run.main()
    assert started[-1] == [sys.executable, "-m", "dvc", "repro"]
    assert (len(started) > 1) == (source == "mnist"), "other data are not looked for"
    assert project.read("params.yaml") == before


def test_repro_never_switches_and_loses_nothing(mnist: Project) -> None:
    (mnist.path / IMAGES).unlink()
    before = {path.name: path.read_bytes() for path in (mnist.path / "data/raw").iterdir()}
    output = mnist.dvc("repro", fails=True, MNIST_MIRROR="/nowhere")
    assert ran(output) == ["download"]
    assert output.count("no mirror delivered") == 1
    assert "/nowhere: cannot read" in output
    assert "download.source to sample" in output
    assert "Traceback" not in output
    assert mnist.git("status", "--porcelain") == ""
    assert before == {path.name: path.read_bytes() for path in (mnist.path / "data/raw").iterdir()}


def test_what_a_killed_dvc_tears_is_named_and_mended(project: Project) -> None:
    lock, rwlock = project.path / "dvc.lock", project.path / ".dvc/tmp/rwlock"
    whole, repro = lock.read_bytes(), [sys.executable, "-m", "tools.repro"]
    cut = b"\n  train:\n    c"  # of cmd
    lock.write_bytes(whole[: whole.index(cut) + len(cut)])
    assert "'./dvc.lock' validation failed" in project.dvc("status", "dvc.yaml", fails=True)
    project.git(*documented.command("git checkout dvc.lock").split()[1:])
    assert project.changed() == set()

    rwlock.write_text("{")
    output = project.dvc("repro", fails=True)
    assert "Unable to read RWLock-file '.dvc/tmp/rwlock'. JSON structure is corrupted" in output
    lock.write_bytes(b"")
    output = project.run(*repro)
    assert "dvc.lock: dvc was stopped while it wrote it; the last whole one is back" in output
    assert (ran(output), lock.read_bytes()) == ([], whole)

    setting = documented.command("dvc config --local core.hardlink_lock true")
    project.dvc(*setting.split()[1:])
    for name in ("lock", "rwlock.lock"):  # of the other kind
        (project.path / ".dvc/tmp" / name).unlink()
    assert ran(project.run(*repro, "--force", "check")) == ["check"]
