"""The whole pipeline through the real git and dvc commands, on drawn digits."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tests.project import Project

STAGES = ["check", "download", "preprocess", "train", "evaluate", "export", "card"]
MODEL = "models/model.safetensors"
KEPT = [
    "data/checked",
    "data/prepared/train.safetensors",
    MODEL,
    "models/model.onnx",
    "models/model.int8.onnx",
    "metrics/evaluate.json",
    "metrics/export.json",
    "metrics/train.json",
    "models/README.md",
    "plots/learning_curves.csv",
    "plots/worst_errors.png",
]


def ran(output: str) -> list[str]:
    """The stages that a `dvc repro` executed."""
    return [name for name in STAGES if f"Running stage '{name}'" in output]


def changed(project: Project) -> set[str]:
    """The stages of the pipeline that `dvc status` names; the study is another pipeline."""
    return set(json.loads(project.dvc("status", "--json", "dvc.yaml")))


def test_the_first_run_runs_every_stage_and_the_second_none(
    project: Project, reproduced: Project
) -> None:
    assert ran(reproduced.first_run) == STAGES
    assert changed(project) == set()
    again = project.dvc("repro")
    assert ran(again) == []
    assert "up to date" in again
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("section", "key", "value", "stages"),
    [
        ("download", "source", "sample", {"check", "download", "evaluate", "card"}),
        ("preprocess", "validation_size", 50, {"check", "preprocess", "card"}),
        ("model", "dropout", 0.1, {"check", "train", "card"}),
        ("augment", "rotation", 5, {"check", "train", "evaluate", "card"}),
        ("train", "epochs", 3, {"check", "train", "card"}),
    ],
)
def test_a_parameter_touches_the_stages_that_read_it(
    project: Project, section: str, key: str, value: object, stages: set[str]
) -> None:
    project.change(section, **{key: value})
    assert changed(project) == stages


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("check.py", {"check"}),
        ("lib/mirrors.py", {"download"}),
        ("lib/idx.py", {"preprocess"}),
        ("train.py", {"train"}),
        ("lib/pictures.py", {"evaluate"}),
        ("lib/augment.py", {"train", "evaluate"}),
        ("lib/onnx_file.py", {"export"}),
    ],
)
def test_a_module_touches_the_stages_that_import_it(
    project: Project, module: str, stages: set[str]
) -> None:
    with (project.path / "stages" / module).open("a") as file:
        file.write("\n# changed\n")
    assert changed(project) == stages


def test_a_comment_in_the_parameters_touches_nothing(project: Project) -> None:
    with (project.path / "params.yaml").open("a") as file:
        file.write("\n# a comment\n")
    assert changed(project) == set()


def test_reverting_a_parameter_restores_the_model_without_training(project: Project) -> None:
    first = {name: project.read(name) for name in KEPT}
    project.change("train", seed=1)
    assert ran(project.dvc("repro")) == ["check", "train", "evaluate", "export", "card"]
    assert project.read(MODEL) != first[MODEL]
    project.git("checkout", "params.yaml")
    again = project.dvc("repro")
    assert "train" not in ran(again)
    assert "Stage 'train' is cached" in again
    assert first == {name: project.read(name) for name in KEPT}


def test_two_commits_can_be_compared(project: Project) -> None:
    project.change("train", epochs=3)
    project.dvc("repro")
    project.git("commit", "-aqm", "Train longer")
    table = json.loads(project.dvc("metrics", "diff", "--json", "HEAD~1"))
    assert table["metrics/train.json"]["epoch"] == {"old": 2, "new": 3, "diff": 1}
    assert "train.epochs" in project.dvc("params", "diff", "HEAD~1")
    project.dvc("plots", "diff", "HEAD~1")
    page = (project.path / "dvc_plots/index.html").read_text()
    for title in ("Learning curves", "Confusion matrix of the test set", "Errors by digit"):
        assert page.count(f'"text": "{title}"') == 1, "each plot once"
    for picture in ("worst_errors", "augmentation"):
        for revision in ("workspace", "HEAD~1"):
            assert (
                len([*(project.path / "dvc_plots/static").glob(f"{revision}*{picture}.png")]) == 1
            )
    assert project.git("status", "--porcelain") == "", "dvc_plots is ignored"


def test_a_clone_without_data_shows_metrics_and_plots(project: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone", project.mirror)
    project.git("clone", "-q", ".", str(clone.path))
    shown = json.loads(clone.dvc("metrics", "show", "--json"))
    assert shown[""]["data"]["metrics/evaluate.json"]["data"]["examples"] == 100
    clone.dvc("plots", "show")
    assert "Learning curves" in (clone.path / "dvc_plots/index.html").read_text()


def test_a_clone_elsewhere_gets_the_same_bits(project: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "another place", project.mirror)
    project.git("clone", "-q", ".", str(clone.path))
    hostile = {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "3", "ATEN_CPU_CAPABILITY": "default"}
    one_core = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    output = clone.run(*one_core, sys.executable, "-m", "dvc", "repro", **hostile)
    # evaluate and card have their results in git and find every input as dvc.lock says: the same
    # bits
    assert ran(output) == [stage for stage in STAGES if stage not in ("evaluate", "card")]
    assert clone.git("status", "--porcelain") == ""


def test_no_validation_split_and_back(project: Project) -> None:
    project.change("preprocess", validation_size=0)
    project.dvc("repro")
    metrics = json.loads(project.read("metrics/train.json"))
    assert not [name for name in metrics if name.startswith("validation")]
    project.dvc("plots", "diff", "HEAD")
    project.git("checkout", "params.yaml")
    assert "train" not in ran(project.dvc("repro"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs=-3", "train.epochs is -3"),
        ("+train.epoch=3", "train.epoch: unknown key; did you mean 'epochs'"),
        ("+trian.epochs=3", "trian: unknown key; did you mean 'train'"),
        ("model.hidden=4096", "model.parameter_budget is 20,000"),
    ],
)
def test_a_bad_value_stops_everything_and_loses_nothing(
    project: Project, override: str, message: str
) -> None:
    first = {name: project.read(name) for name in KEPT}
    output = project.dvc("exp", "run", "-S", override, fails=True)
    assert message in output
    assert "Traceback" not in output
    assert ran(output) == ["check"]
    if override == "train.epochs=-3":
        assert message in project.dvc("repro", "train", fails=True), "a single stage is guarded too"
    assert first == {name: project.read(name) for name in KEPT}


def test_a_bad_file_stops_everything_and_loses_nothing(project: Project) -> None:
    first = {name: project.read(name) for name in KEPT}
    code = (project.path / "stages/lib/datasets.py").read_text()
    images = project.mirror / "t10k-images-idx3-ubyte.gz"
    bad = project.path.parent / "bad mirror"
    shutil.copytree(project.mirror, bad)
    broken = images.read_bytes()[:-100]
    (bad / images.name).write_bytes(broken)
    project.mirror = bad
    shutil.rmtree(project.path / "data/raw")
    output = project.dvc("repro", fails=True)
    assert "wrong content (its sha256 is not the pinned one)" in output
    assert "MNIST_MIRROR" in output

    pinned = hashlib.sha256(images.read_bytes()).hexdigest()
    digest = hashlib.sha256(broken).hexdigest()
    (project.path / "stages/lib/datasets.py").write_text(code.replace(pinned, digest))
    output = project.dvc("repro", fails=True)
    assert "t10k-images-idx3-ubyte.gz: not a whole gzip file" in output
    assert "Traceback" not in output
    assert first == {name: project.read(name) for name in KEPT}


def test_an_experiment_runs_and_is_compared(project: Project) -> None:
    project.dvc("exp", "run", "-S", "train.seed=7", "-S", "train.weight_decay=1e-3", "-n", "seven")
    shown = project.dvc("exp", "show", "--csv", "--no-pager")
    assert "seven" in shown
    assert yaml.safe_load(project.read("params.yaml"))["train"]["seed"] == 7
    assert "metrics/train.json" in project.dvc("exp", "diff", "--json", "HEAD", "seven")


def test_another_python_is_told_what_to_do(project: Project, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    project.run(sys.executable, "-m", "venv", "--without-pip", str(bare))
    python = str(bare / "bin/python")
    for program, package in (("train", "torch"), ("predict", "onnxruntime")):
        output = project.run(python, "-m", f"stages.{program}", fails=True)
        assert output.startswith(f"error: {python} has no {package}: ")
        assert "make repro" in output
        assert "Traceback" not in output

    code = "try: import stages\nexcept ModuleNotFoundError as error: print(error.name, error)"
    output = project.run(python, "-c", code)
    assert output.startswith(f"torch {python} has no torch: ")
    assert "make repro" in output
