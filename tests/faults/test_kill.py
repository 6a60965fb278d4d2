"""Training that is killed or interrupted at any moment resumes after its last whole epoch."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digits.core import tensor_file
from digits.training.checkpoint import CheckpointHeader
from stages import download, paths, preprocess, train
from tests.project import Project
from tools import repro

RESULTS = (paths.MODEL, paths.TRAIN_METRICS, paths.CURVES)
PARTIAL = ".train.safetensors.partial"  # of the checkpoint
SPARE = 20  # epochs more than the kills can use up, so that none comes too late
PATIENCE = 240  # seconds
INSIDE = str(Path(__file__).parent / "inside")


def results(project: Project) -> dict[Path, bytes]:
    return {path: project.read(str(path)) for path in RESULTS}


def uninterrupted(
    project: Project, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[Path, bytes]:
    """The results of training that nobody stops."""
    whole = project.copy_to(copy)
    with monkeypatch.context() as patch:
        patch.chdir(whole.path)
        train.main()
    return results(whole)


def kill_inside(module: str, path: str, count: int, calls: int) -> dict[str, str]:
    """The environment in which a process kills itself; see inside/sitecustomize.py."""
    fault = {"module": module, "path": path, "count": count, "calls": calls}
    return {"FAULT": json.dumps(fault), "PYTHONPATH": INSIDE}


def train_until_killed(project: Project, name: str, count: int, calls: int) -> str:
    """Train through dvc up to the fault; returns the output."""
    fault = kill_inside("stages.train", f"/{re.escape(name)}$", count, calls)
    output = project.dvc("repro", "train", fails=True, **fault)
    # some shells die of their command's signal, others make a number of it
    assert re.search(r"exited with (-9|137)\n", output), output
    return output


def epochs_kept(project: Project) -> int:
    path = project.path / paths.CHECKPOINT
    return len(tensor_file.load(path, CheckpointHeader)[1].history) if path.exists() else 0


def moments(times: int, rng: random.Random) -> list[tuple[str, int, int]]:
    """Where to kill: in steps and in writes of checkpoints, then a quarter in the last writes.

    A write takes some 30 calls from its opening on, an epoch here some thousands.
    """
    late = max(1, times // 4)
    early = [
        (PARTIAL, rng.choice([1, 2]), rng.randrange(rng.choice([30, 3000])))
        for _ in range(times - late)
    ]
    last = [".model.safetensors.partial", ".train.json.partial"]
    return early + [(rng.choice(last), 1, rng.randrange(20)) for _ in range(late)]


@pytest.mark.promise(
    "Training that is killed resumes after its last whole epoch and ends with the same bits",
    quick=2,
    thorough=20,
)
def test_a_killed_training_ends_with_the_same_bits(
    project: Project,
    tmp_path: Path,
    times: int,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    epochs = 2 * times + SPARE
    project.change("train", epochs=epochs)
    expected = uninterrupted(project, tmp_path / "whole", monkeypatch)
    done = 0
    for name, count, calls in moments(times, rng):
        output, before = train_until_killed(project, name, count, calls), done
        resumed = f"train: resuming after epoch {before} (checkpoints/train.safetensors)"
        assert (resumed in output) == (before > 0)
        # all but the epoch that was being computed or written is kept
        done = epochs_kept(project)
        assert done >= before + count - 1 if name == PARTIAL else done == epochs
    output = project.dvc("repro", "train")
    assert f"train: resuming after epoch {epochs} " in output
    assert results(project) == expected
    assert not [path for path in project.path.rglob("*.partial*") if ".venv" not in path.parts]
    assert epochs_kept(project) == epochs, "the next run with other parameters replaces it"


def test_ctrl_c_prints_one_line_and_keeps_the_checkpoint(project: Project) -> None:
    project.change("train", epochs=10_000)
    running = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "train"],
        cwd=project.path,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # as in a terminal, one group that Ctrl-C goes to
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_for(project.path / paths.CHECKPOINT)
        os.killpg(running.pid, signal.SIGINT)
        output, _ = running.communicate(timeout=PATIENCE)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
    # dvc names the exit code of its shell, which dies of the same Ctrl-C or passes 130 on
    assert re.search(r"\ninterrupted\nERROR: .* exited with (130|-2)\n", output), output
    assert running.returncode == 255
    assert "Traceback" not in output
    assert epochs_kept(project) > 0
    assert not list((project.path / "checkpoints").glob(".*"))


def test_ctrl_c_while_dvc_writes_its_lock_leaves_the_last_whole_one(project: Project) -> None:
    lock, command = project.path / "dvc.lock", [sys.executable, "-m", "tools.repro"]
    stages = repro.stages_of(lock)
    project.change("train", weight_decay=0.5)
    output = ""
    for calls in (5, 50):
        fault = kill_inside("dvc", r"/dvc\.lock$", 1, calls)
        plan = json.loads(fault["FAULT"]) | {"writes": True, "signal": signal.SIGINT}
        output += project.run(*command, fails=True, **fault | {"FAULT": json.dumps(plan)})
        assert repro.stages_of(lock) == stages
    assert output.count("interrupted by the user") == 2
    assert "dvc.lock: dvc was stopped while it wrote it; the last whole one is back" in output
    assert "train" in project.run(*command)
    assert project.changed() == set()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def test_the_next_run_deletes_what_a_killed_one_left(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the next download has another source."""
    monkeypatch.chdir(project.path)
    before, own = written_files(), project.read("params.yaml")
    partial = ".t10k-images-idx3-ubyte.gz.partial"
    for path in paths.RAW.glob("*.gz"):
        path.unlink()
    kill(project, "download", partial)
    project.change("download", source="sample", files=None)
    download.main()
    assert written_files() == before
    kill(project, "download", partial)
    paths.PARAMETERS.write_bytes(own)
    download.main()
    kill(project, "preprocess", ".validation.safetensors.partial")
    preprocess.main()
    assert written_files() == before


def kill(project: Project, stage: str, partial: str) -> None:
    """Run a stage that is killed just after it has opened its partial file."""
    fault = kill_inside(f"stages.{stage}", re.escape(partial), count=1, calls=10)
    project.run(sys.executable, "-m", f"stages.{stage}", fails=True, **fault)
    assert any(path.name == partial for path in written_files())


def written_files() -> set[Path]:
    folders = ("data", "metrics", "models", "plots")
    return {path for folder in folders for path in Path(folder).rglob("*")}


def test_splits_of_two_generations_are_not_used_together(project: Project) -> None:
    project.change("preprocess", seed=1)
    fault = kill_inside("stages.preprocess", r"\.validation\.safetensors\.partial$", 1, 10)
    project.dvc("repro", "preprocess", fails=True, **fault)
    output = project.run(sys.executable, "-m", "stages.train", fails=True)
    assert output.startswith("error: data/prepared/validation.safetensors: was made beside ")
    output = project.run(sys.executable, "-m", "stages.export", fails=True)
    assert output.startswith("error: data/prepared/train.safetensors: was made beside ")
    project.dvc("repro", "export")
