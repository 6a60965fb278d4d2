"""The whole pipeline through the real git and dvc commands, on drawn digits."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.project import STAGES, Project, ran

MAKE = ["make", "-o", ".venv/installed", f"PYTHON={sys.executable}"]  # and make no .venv
MODEL = "models/model.safetensors"


@pytest.fixture(scope="module")
def longer(reproduced: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with a second commit: trained for longer, as an experiment, on all images."""
    project = reproduced.copy_to(tmp_path_factory.mktemp("longer") / "project")
    values = ["-S", "train.epochs=3", "-S", "preprocess.validation_size=0"]
    project.first_run = project.dvc("exp", "run", "-n", "longer", *values)
    project.git("commit", "-aqm", "Train longer")
    return project


def test_the_first_run_runs_every_stage_and_the_second_none(
    project: Project, reproduced: Project
) -> None:
    assert ran(reproduced.first_run) == STAGES
    metrics = json.loads(project.read("metrics/evaluate.json"))
    details = metrics["details"][0]
    assert (details["dataset"], details["examples"]) == ("own", 100)
    again = project.run(*MAKE, "repro")
    assert ran(again) == []
    assert "up to date" in again
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("section", "key", "value", "stages"),
    [
        ("download", "source", "sample", {"check", "download", "preprocess", "evaluate", "card"}),
        ("preprocess", "validation_size", 50, {"check", "preprocess", "card"}),
        ("model", "dropout", 0.1, {"check", "train", "evaluate", "card"}),
        ("augment", "rotation", 5, {"check", "train", "evaluate", "card"}),
        ("train", "epochs", 3, {"check", "train", "evaluate", "card"}),
    ],
)
def test_a_parameter_touches_the_stages_that_read_it(
    project: Project, section: str, key: str, value: object, stages: set[str]
) -> None:
    project.change(section, **{key: value})
    assert project.changed() == stages


def test_two_commits_can_be_compared(longer: Project) -> None:
    assert ran(longer.first_run) == [name for name in STAGES if name != "download"]
    table = json.loads(longer.dvc("metrics", "diff", "--json", "HEAD~1"))["metrics/train.json"]
    assert table["validation_accuracy"]["old"] > 0
    assert table["validation_accuracy"]["new"] is None, "without validation images"
    experiment = json.loads(longer.dvc("exp", "diff", "--json", "HEAD~1", "longer"))
    assert experiment["metrics"]["metrics/train.json"] == table
    assert "train.epochs" in longer.dvc("params", "diff", "HEAD~1")
    longer.dvc("plots", "diff", "HEAD~1")
    page = (longer.path / "dvc_plots/index.html").read_text()
    for title in ("Learning curves", "Confusion matrix of the test set", "Errors by class"):
        assert page.count(f'"text": "{title}"') == 1, "each plot once"
    pictures = sorted(path.name for path in (longer.path / "dvc_plots/static").iterdir())
    assert pictures == [
        f"{revision}_plots_{picture}.png"
        for revision in ("HEAD~1", "workspace")
        for picture in ("augmentation", "training_data", "worst_errors")
    ]
    assert longer.git("status", "--porcelain") == "", "dvc_plots is ignored"


def test_an_earlier_value_restores_the_model_without_training(
    longer: Project, reproduced: Project, tmp_path: Path
) -> None:
    project = longer.copy_to(tmp_path / "project")
    assert project.read(MODEL) != reproduced.read(MODEL)
    project.git("checkout", "HEAD~1", "params.yaml")
    output = project.dvc("repro")
    assert "Stage 'train' is cached" in output
    assert not {"download", "train"} & {*ran(output)}
    assert project.results() == reproduced.results()


def test_a_clone_without_data_shows_metrics_and_plots(reproduced: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone", reproduced.mirror)
    reproduced.git("clone", "-q", ".", str(clone.path))
    shown = json.loads(clone.dvc("metrics", "show", "--json"))
    assert shown[""]["data"]["metrics/evaluate.json"]["data"]["errors"] <= 100
    clone.dvc("plots", "show")
    assert "Learning curves" in (clone.path / "dvc_plots/index.html").read_text()


@pytest.mark.slow
def test_a_clone_elsewhere_gets_the_same_bits(reproduced: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "another place", reproduced.mirror)
    reproduced.git("clone", "-q", ".", str(clone.path))
    hostile = {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "3", "ATEN_CPU_CAPABILITY": "default"}
    one_core = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    output = clone.run(*one_core, sys.executable, "-m", "dvc", "repro", **hostile)
    # evaluate and card have their results in git, and every input is as dvc.lock says
    assert ran(output) == [stage for stage in STAGES if stage not in ("evaluate", "card")]
    assert clone.git("status", "--porcelain") == ""


def test_a_bad_value_stops_everything_and_loses_nothing(
    project: Project, reproduced: Project
) -> None:
    values = ["train.epochs=-3", "+train.epoch=3", "+trian.epochs=3"]
    refused = project.dvc("exp", "run", *(f"-S{value}" for value in values), fails=True)
    for message in (
        "train.epochs is -3",
        "train.epoch: unknown key; did you mean 'epochs'",
        "trian: unknown key; did you mean 'train'",
    ):
        assert f"params.yaml: {message}" in refused
    project.git("checkout", "params.yaml")
    project.change("model", hidden=4096)
    too_large = project.dvc("repro", "train", fails=True)  # a single stage is guarded too
    assert "model.parameter_budget is 20,000" in too_large
    for output in (refused, too_large):
        assert "Traceback" not in output
        assert ran(output) == ["check"]
    assert project.results() == reproduced.results()


def test_a_bad_file_loses_nothing(project: Project, reproduced: Project) -> None:
    images = project.path / "data/raw/t10k-images-idx3-ubyte.gz"
    images.unlink()  # it may be a link into the cache
    images.write_bytes(reproduced.read(f"data/raw/{images.name}")[:-100])
    output = project.dvc("repro", "--single-item", "preprocess", fails=True)
    assert f"{images.name}: not a whole gzip file" in output
    assert "Traceback" not in output
    assert project.results(without="download") == reproduced.results(without="download")


def test_another_python_is_told_what_to_do(reproduced: Project) -> None:
    output = reproduced.run(sys.executable, "-S", "-m", "stages.train", fails=True)
    assert "has no torch: `python` is not this project's environment. Run `make repro`" in output
    assert "Traceback" not in output
