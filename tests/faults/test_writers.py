"""Never two stages at work in one folder, and none without the dvc that started it."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from stages import train
from stages.lib.alone import CLAIM, claimed
from stages.lib.errors import UserError
from tests.project import Project

PATIENCE = 240  # seconds
# dvc hands a stage to $SHELL: one that waits for its command stands between the two
SHELL = '#!/bin/sh\n/bin/sh "$@"\nexit $?\n'


@contextmanager
def repro(project: Project) -> Iterator["subprocess.Popen[str]"]:
    """`dvc repro train` under a shell that stays; killed at the end, with all that it started."""
    shell = project.path.parent / "shell"
    shell.write_text(SHELL)
    shell.chmod(0o755)
    running = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "train"],
        cwd=project.path,
        env=project.environment() | {"SHELL": str(shell)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        for trainer in trainers(project):
            trainer.kill()


def trainers(project: Project) -> list[psutil.Process]:
    """Python at work for the train stage, in this project."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            ours = process.cmdline()[1:] == ["-m", "stages.train"]
            if ours and process.cwd() == str(project.path.resolve()):
                found.append(process)
        except psutil.Error:  # it has just ended
            pass
    return found


def is_free(project: Project) -> bool:
    """Whether no stage is at work."""
    try:
        with claimed(project.path / CLAIM):
            return True
    except UserError:
        return False


def wait_until(holds: Callable[[], bool]) -> float:
    """Returns the seconds that it took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() < begun + PATIENCE
        time.sleep(0.05)
    return time.monotonic() - begun


@pytest.mark.promise(
    "A stage does not outlive the dvc that started it, and keeps others out until it ends",
    quick=1,
    thorough=5,
)
def test_a_second_writer_is_refused_and_a_first_one_ends_with_its_dvc(
    project: Project, times: int, chance: random.Random
) -> None:
    project.change("train", epochs=10_000)
    for _ in range(times):
        (project.path / train.CHECKPOINT).unlink(missing_ok=True)
        with repro(project) as dvc:
            wait_until((project.path / train.CHECKPOINT).exists)
            (trainer,) = trainers(project)
            with (
                pytest.raises(UserError, match=rf"^process {trainer.pid} \(train\) is at work"),
                claimed(project.path / CLAIM),
            ):
                pass
            time.sleep(chance.uniform(0, 0.5))
            dvc.kill()
            dvc.wait()
            wait_until(lambda: is_free(project))
            assert not trainers(project)


def test_two_repros_at_once_give_one_error_and_no_damage(project: Project) -> None:
    project.change("train", epochs=10_000)
    with repro(project):
        wait_until((project.path / train.CHECKPOINT).exists)
        (trainer,) = trainers(project)
        second = project.dvc("repro", "train", fails=True)
        assert second.count("ERROR: ") == 1
        assert "Traceback" not in second
        by_hand = project.run(sys.executable, "-m", "stages.train", fails=True)
        assert by_hand == (
            f"error: process {trainer.pid} (train) is at work in this folder; "
            "wait for its end, or kill it, and run again\n"
        )
        assert trainers(project) == [trainer], "the first one goes on"


def test_a_stage_run_by_hand_needs_no_dvc(project: Project) -> None:
    """Its parent may go: nohup and closed terminals are nobody's mistake."""
    line = f"{sys.executable} -m stages.train > said 2>&1 &"
    project.change("train", epochs=10_000)
    try:
        project.run("sh", "-c", line)
        wait_until((project.path / train.CHECKPOINT).exists)
        (trainer,) = trainers(project)
        time.sleep(1.5)
        assert trainer.is_running()
    finally:
        for trainer in trainers(project):
            trainer.kill()
    assert Path(project.path / "said").read_text() == ""
