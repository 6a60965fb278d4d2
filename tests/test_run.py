"""`make run` and what it says."""

import json
import shutil
import sys

import pytest
import yaml

from tests.project import Project

MAKE = ["make", "-o", ".venv/installed", f"PYTHON={sys.executable}"]  # and make no .venv


def test_without_a_network_it_runs_the_sample_and_says_so(project: Project) -> None:
    project.change("train", epochs=1)
    shutil.rmtree(project.path / ".dvc/cache")
    before = (project.path / "params.yaml").read_text()
    (project.path / "data/raw/train-images-idx3-ubyte.gz").unlink()
    output = project.run(sys.executable, "run.py", MNIST_MIRROR="")
    lines = output.splitlines()
    assert lines[0].startswith("MNIST cannot be fetched: no public mirror delivers it")
    assert "built-in sample of 5,000 digits" in lines[1]
    metrics = json.loads(project.read("metrics/evaluate.json"))
    assert (metrics["dataset"], metrics["examples"]) == ("sample", 1000)
    assert lines[-3].startswith("This was the built-in sample, not MNIST:")
    assert f"{100 * metrics['accuracy']:.2f} % of 1,000 test images right" in lines[-3]
    assert "MNIST_MIRROR" in lines[-1]
    after = (project.path / "params.yaml").read_text()
    differing = [
        (old.split("#")[0].split(), new.split("#")[0].split())
        for old, new in zip(before.splitlines(), after.splitlines(), strict=True)
        if old != new
    ]
    assert differing == [
        (["source:", "mnist"], ["source:", "sample"]),
        (["validation_size:", "100"], ["validation_size:", "500"]),
    ]
    lock = yaml.safe_load(project.read("dvc.lock"))["stages"]["download"]
    assert lock["params"]["params.yaml"]["download"] == {"source": "sample", "files": None}


@pytest.mark.parametrize("place", ["cache", "remote"])
def test_what_dvc_has_is_used_without_a_network(project: Project, place: str) -> None:
    before = {path: project.read(path) for path in ("params.yaml", "dvc.lock")}
    shutil.rmtree(project.path / "data")
    project.git("checkout", "data")
    if place == "remote":
        project.name_remote("away", {"url": "../../away"})
        shutil.move(project.path / ".dvc/cache", project.path.parent / "away")
    output = project.run(sys.executable, "run.py", MNIST_MIRROR="")
    assert output.splitlines()[-1].startswith("mnist: ")
    assert "sample" not in output
    assert before == {path: project.read(path) for path in before}


def test_with_a_mirror_it_reproduces_what_is_asked_for(project: Project) -> None:
    before = project.read("params.yaml")
    output = project.run(sys.executable, "run.py")
    assert project.read("params.yaml") == before
    assert output.splitlines()[-1].startswith("mnist: ")
    assert project.git("status", "--porcelain") == ""


def test_a_mirror_that_fails_is_not_replaced_by_the_sample(project: Project) -> None:
    shutil.rmtree(project.path / ".dvc/cache")
    (project.path / "data/raw/train-images-idx3-ubyte.gz").unlink()
    before = project.read("params.yaml")
    output = project.run(sys.executable, "run.py", MNIST_MIRROR="/nowhere", fails=True)
    assert "/nowhere: cannot read" in output
    assert "Traceback" not in output
    assert project.read("params.yaml") == before


def test_repro_never_switches(project: Project) -> None:
    (project.path / "data/raw/train-images-idx3-ubyte.gz").unlink()
    (project.path / "dvc.lock").unlink()
    before = project.read("params.yaml")
    output = project.dvc("repro", fails=True, MNIST_MIRROR="")
    assert output.count("no mirror delivered") == 1
    assert "download.source to sample" in output
    assert "Traceback" not in output
    assert project.read("params.yaml") == before


@pytest.mark.parametrize("command", [[sys.executable, "run.py"], [*MAKE, "repro"]])
def test_what_would_keep_dvc_busy_for_good_is_refused_first(
    project: Project, command: list[str]
) -> None:
    lists = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)]
    (project.path / "params.yaml").write_text("".join(["a0: &a0 0\n", *lists]))
    said = project.run(*command, fails=True).splitlines()
    assert said[0].startswith("error: params.yaml, line 2: an alias (*name)")
    assert not any("Running stage" in line for line in said)


def test_make_repro_reproduces(project: Project) -> None:
    said = project.run(*MAKE, "repro")
    assert "up to date" in said
