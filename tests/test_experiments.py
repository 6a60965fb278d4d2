"""The README's walk through experiments, run as it stands there."""

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

from tests import readme
from tests.project import Project

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


def test_the_readmes_commands_run_compare_and_keep_experiments(
    queue: Project, tmp_path: Path
) -> None:
    before = queue.git("rev-parse", "HEAD")

    said = readme.run(queue, readme.commands("Experiments"), tmp_path / "log", timeout=1800)

    assert "Traceback" not in said
    assert "failed" not in said.lower()
    assert re.search(r"train\.weight_decay +0\.001 +0\.01\b", said), "what exp diff says"
    shown = json.loads(queue.dvc("exp", "show", "--json"))
    (commit,) = (each for each in shown if each["rev"] == before.strip())
    found = {each["name"]: each["revs"][0]["data"] for each in commit["experiments"]}
    assert sorted(found) == ["grid-1", "grid-2", "no-dropout", "slower"], "none is lost"
    for name, (key, value) in CHANGED.items():
        assert found[name]["params"]["params.yaml"]["data"]["train"][key] == value
        assert found[name]["metrics"]["metrics/train.json"]["data"]["epoch"] == 2

    branch = YAML(typ="safe").load(queue.git("show", "decay:params.yaml"))
    assert branch["train"]["weight_decay"] == 0.01
    assert queue.git("rev-parse", "HEAD") == before, "the commit is left alone"
    assert queue.git("status", "--porcelain") == "", "and so is the folder, after git restore"

    command = readme.command(
        "dvc exp show --md --drop '.*' --keep 'Exp|validation_acc|model.dropout|train.max'"
    )
    said = readme.run(queue, command, tmp_path / "shown", timeout=240)
    assert head_of_table(said) == head_of_table(readme.README.partition(f"$ {command}\n")[2])


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
