"""The walk through experiments in docs/experiments.md, run as it stands there."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests import documented, drawn
from tests.project import Project, own

pytestmark = pytest.mark.slow
CHANGED = {
    "slower": ("max_learning_rate", 0.005),
    "grid-1": ("weight_decay", 0.001),
    "grid-2": ("weight_decay", 0.01),
}


@pytest.fixture
def queue(project: Project) -> Iterator[Project]:
    """A project whose queue no worker serves after the test."""
    yield project
    project.dvc("queue", "stop", "--kill")


def test_the_documented_commands_run_compare_and_keep_experiments(
    queue: Project, tmp_path: Path
) -> None:
    before = queue.git("rev-parse", "HEAD")

    output = documented.run(
        queue, documented.commands("docs/experiments.md", "Experiments"), tmp_path / "log", 1800
    )

    assert "Traceback" not in output
    assert "failed" not in output.lower()
    assert re.search(r"train\.weight_decay +0\.001 +0\.01\b", output), "what exp diff says"
    shown = json.loads(queue.dvc("exp", "show", "--json"))
    (commit,) = (each for each in shown if each["rev"] == before.strip())
    experiments = {each["name"]: each["revs"][0]["data"] for each in commit["experiments"]}
    assert sorted(experiments) == ["grid-1", "grid-2", "no-dropout", "slower"], "none is lost"
    for name, (key, value) in CHANGED.items():
        assert experiments[name]["params"]["params.yaml"]["data"]["train"][key] == value
        assert experiments[name]["metrics"]["metrics/train.json"]["data"]["parameters"] > 0

    branch = YAML(typ="safe").load(queue.git("show", "decay:params.yaml"))
    assert branch["train"]["weight_decay"] == 0.01
    assert queue.git("rev-parse", "HEAD") == before, "the commit is left alone"
    assert queue.git("status", "--porcelain") == "", "and so is the folder, after git restore"

    command = documented.command(
        "dvc exp show --md --drop '.*' --keep 'Exp|validation_acc|model.dropout|train.max'"
    )
    output = documented.run(queue, command, tmp_path / "shown", timeout=240)
    assert head_of_table(output) == head_of_table(
        documented.PAGES["docs/experiments.md"].partition(f"$ {command}\n")[2]
    )


def test_new_data_of_an_experiment_elsewhere_need_an_absolute_address(project: Project) -> None:
    """`--temp` and the queue run in a folder below .dvc/tmp, where a relative path leads astray."""
    folder = project.path.parent / "new"
    for form, fails in (os.path.relpath(folder, project.path), True), (folder, False):
        new = own(Path(form), drawn.write_idx(folder, alphabet="ABCDEFGHIJ"))
        project.change("download", **new)
        output = project.dvc("exp", "run", "--temp", "preprocess", fails=fails)
        assert ("where an address must be absolute." in output) == fails
        assert f"/{form}/train-images-idx3-ubyte.gz: No such file" in output or not fails


def head_of_table(text: str) -> list[str]:
    """The names of the columns of the first Markdown table."""
    return re.findall(r"[^| ]+", re.search(r"^\| .*$", text, re.MULTILINE)[0])


def test_curves_can_be_drawn_while_training_runs(project: Project) -> None:
    """What an editor shows live: dvc reads the table between two epochs."""
    project.change("train", epochs=10_000)
    curves = project.path / "plots/learning_curves.csv"
    old = curves.stat().st_ino
    command = [sys.executable, "-m", "dvc", "repro", "train"]
    training = subprocess.Popen(
        command,
        cwd=project.path,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 600
        while not (curves.exists() and curves.stat().st_ino != old):
            assert training.poll() is None, "training ended before its first epoch"
            assert time.monotonic() < until, "no epoch in ten minutes"
            time.sleep(0.5)
        project.dvc("plots", "diff", "HEAD")
        assert training.poll() is None, "training ended while the plots were drawn"
    finally:
        os.killpg(training.pid, signal.SIGKILL)
        training.wait()
    page = (project.path / "dvc_plots/index.html").read_text()
    specs = map(json.loads, re.findall(r"var spec = (.*);$", page, re.MULTILINE))
    (spec,) = (spec for spec in specs if spec["title"]["text"] == "Learning curves")
    rows = [row for row in spec["data"]["values"] if row["rev"] == "workspace"]
    with curves.open() as file:
        written = [*csv.DictReader(file)]
    assert rows, "what the training that runs has written so far"
    assert [{key: row[key] for key in written[0]} for row in rows] == written[: len(rows)]
