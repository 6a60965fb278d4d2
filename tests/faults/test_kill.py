"""A training that is killed or interrupted at any moment goes on from its last whole epoch."""

import hashlib
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
import torch

from stages import train
from stages.lib import tensors
from stages.lib.checkpoint import CheckpointHeader
from tests.project import ROOT, Project

RESULTS = [train.MODEL, train.METRICS, train.CURVES]
PARTIAL = ".train.safetensors.partial"  # of the checkpoint
SPARE = 20  # epochs more than there are kills before the end, so that none comes too late
PATIENCE = 240  # seconds
INSIDE = str(Path(__file__).parent / "inside")


def digests(project: Project) -> dict[str, str]:
    return {str(name): hashlib.sha256(project.read(str(name))).hexdigest() for name in RESULTS}


def uninterrupted(project: Project, path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What training gives that nobody stops."""
    whole = project.copy_to(path)
    with monkeypatch.context() as patch:
        patch.chdir(whole.path)
        train.main()
    assert not list((whole.path / "checkpoints").iterdir())
    return digests(whole)


def killed(project: Project, name: str, count: int, calls: int) -> int:
    """Train through dvc up to the fault; returns the epochs that the checkpoint holds."""
    fault = {"stage": "train", "name": name, "count": count, "calls": calls}
    project.killed_run = project.dvc(
        "repro", "train", fails=True,
        FAULT=json.dumps(fault), PYTHONPATH=INSIDE,
    )  # fmt: skip
    # some shells pass on what killed the command, others stay and put it into a number
    assert re.search(r"exited with (-9|137)\n", project.killed_run), project.killed_run
    return epochs_kept(project)


def epochs_kept(project: Project) -> int:
    path = project.path / train.CHECKPOINT
    return len(tensors.load(path, CheckpointHeader)[1].history) if path.exists() else 0


def moments(times: int, chance: random.Random) -> list[tuple[str, int, int]]:
    """Where to kill: in steps and writes of checkpoints, then a quarter in the last writes.

    A write takes some 30 calls from its opening on, an epoch here some thousands.
    """
    late = max(1, times // 4)
    early = [
        (PARTIAL, chance.choice([1, 2]), chance.randrange(chance.choice([30, 3000])))
        for _ in range(times - late)
    ]
    last = [".model.safetensors.partial", ".train.json.partial"]
    return early + [(chance.choice(last), 1, chance.randrange(20)) for _ in range(late)]


@pytest.mark.promise(
    "Training that is killed goes on after its last whole epoch and ends on the same bits",
    quick=2,
    thorough=20,
)
def test_a_killed_training_ends_on_the_same_bits(
    project: Project,
    tmp_path: Path,
    times: int,
    chance: random.Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    epochs = 2 * times + SPARE
    project.change("train", epochs=epochs)
    whole = uninterrupted(project, tmp_path / "whole", monkeypatch)
    done = 0
    for name, count, calls in moments(times, chance):
        before, done = done, killed(project, name, count, calls)
        resumed = f"train: resuming after epoch {before} (checkpoints/train.safetensors)"
        assert (resumed in project.killed_run) == (before > 0)
        # all but the epoch that was being written, or computed, is kept
        assert done >= before + count - 1 if name == PARTIAL else done == epochs
    output = project.dvc("repro", "train")
    assert f"train: resuming after epoch {epochs} " in output
    assert digests(project) == whole
    assert not [path for path in project.path.rglob("*.partial*") if ".venv" not in path.parts]
    assert not list((project.path / "checkpoints").iterdir())


def test_a_checkpoint_is_used_whole_and_by_its_own_run_only(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.change("train", epochs=4)
    whole = uninterrupted(project, tmp_path / "whole", monkeypatch)
    assert killed(project, PARTIAL, 3, 0) == 2

    forgetful = project.copy_to(tmp_path / "forgetful")
    path = forgetful.path / train.CHECKPOINT
    state, header = tensors.load(path, CheckpointHeader)
    state["generator"] = torch.Generator().manual_seed(0).get_state()
    tensors.save(path, state, header)
    output = forgetful.run(sys.executable, "-m", "stages.train")
    assert "train: resuming after epoch 2 " in output
    assert digests(forgetful)[str(train.MODEL)] != whole[str(train.MODEL)]

    with (project.path / "stages/lib/augment.py").open("a") as file:
        file.write("\n# changed\n")
    output = project.dvc("repro", "train")
    assert "is of other parameters, data, code or device; training starts anew" in output
    assert digests(project) == whole


@pytest.mark.parametrize(
    ("command", "end"),
    [
        (["stages.train"], r"^interrupted\n$"),
        # dvc ends on the number of its shell, which dies of the same Ctrl-C or passes 130 on
        (["dvc", "repro", "train"], r"\ninterrupted\nERROR: .* exited with (130|-2)\n"),
    ],
)
def test_ctrl_c_says_so_and_keeps_the_checkpoint(
    project: Project, command: list[str], end: str
) -> None:
    project.change("train", epochs=10_000)
    running = subprocess.Popen(
        [sys.executable, "-m", *command],
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
        wait_for(project.path / train.CHECKPOINT)
        os.killpg(running.pid, signal.SIGINT)
        output, _ = running.communicate(timeout=PATIENCE)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
    assert re.search(end, output), output
    assert running.returncode == (130 if command == ["stages.train"] else 255)
    assert "Traceback" not in output
    assert epochs_kept(project) > 0
    assert not list((project.path / "checkpoints").glob(".*"))


def test_ctrl_c_while_modules_are_imported_says_so_too(tmp_path: Path) -> None:
    slow = tmp_path / "pandas.py"
    slow.write_text(f"import time\nprint('importing', flush=True)\ntime.sleep({PATIENCE})\n")
    running = subprocess.Popen(
        [sys.executable, "-m", "stages.train"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with running:
        assert running.stdout.readline() == "importing\n"
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=PATIENCE)
    assert (said, running.returncode) == ("interrupted\n", 130)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("stage", "partial", "source", "then"),
    [
        ("download", ".t10k-images-idx3-ubyte.gz.partial", "mnist", "sample"),
        ("download", ".t10k-images-idx3-ubyte.gz.partial", "sample", "mnist"),
        ("preprocess", ".validation.safetensors.partial", "mnist", "mnist"),
    ],
)
def test_the_next_run_deletes_what_a_killed_one_left(
    project: Project, stage: str, partial: str, source: str, then: str
) -> None:
    project.change("download", source=source)
    before = files_in(project)
    if stage == "download":
        for path in (project.path / "data/raw").glob("*.gz"):
            path.unlink()
    command = [sys.executable, "-m", f"stages.{stage}"]
    fault = {"stage": stage, "name": partial, "count": 1, "calls": 10}
    project.run(*command, fails=True, FAULT=json.dumps(fault), PYTHONPATH=INSIDE)
    assert any(path.endswith(partial) for path in files_in(project))
    project.change("download", source=then)
    project.run(*command)
    assert files_in(project) == before


def files_in(project: Project) -> set[str]:
    """The paths of what stages write."""
    folders = ("data", "metrics", "models", "plots")
    return {str(path) for folder in folders for path in (project.path / folder).rglob("*")}
