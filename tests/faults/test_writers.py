"""Never two stages at work in one folder, and none without the dvc that started it."""

import os
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
from stages.lib import alone
from stages.lib.alone import CLAIM, claimed, run_stage
from stages.lib.errors import UserError
from tests.faults.test_kill import digests, uninterrupted
from tests.project import Project

PATIENCE = 240  # seconds
SOON = 10  # seconds; on a quiet machine it takes two
FEW = 3  # epochs
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


def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.promise(
    "A stage does not outlive the dvc that started it, and keeps others out until it ends",
    quick=1,
    thorough=5,
)
def test_a_second_writer_is_refused_and_a_first_one_ends_with_its_dvc(
    project: Project,
    tmp_path: Path,
    times: int,
    chance: random.Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project.change("train", epochs=FEW)
    whole = uninterrupted(project, tmp_path / "whole", monkeypatch)
    project.change("train", epochs=10_000)
    with repro(project) as dvc:
        wait_until(lambda: len(trainers(project)) == 1)
        dvc.kill()  # while its stage still imports
        dvc.wait()
        wait_until(lambda: not trainers(project))
    assert not (project.path / train.CHECKPOINT).exists()
    for _ in range(times):
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
            wait_until(lambda: is_free(project), SOON)
            assert not trainers(project)
        (project.path / train.CHECKPOINT).unlink()
    assert_unharmed(project, whole)


def test_two_repros_at_once_give_one_error_and_no_damage(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.change("train", epochs=FEW)
    whole = uninterrupted(project, tmp_path / "whole", monkeypatch)
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
    wait_until(lambda: is_free(project))
    assert_unharmed(project, whole)


def assert_unharmed(project: Project, whole: dict[str, str]) -> None:
    """A short training, over all that earlier ones left, gives what one alone gives."""
    project.change("train", epochs=FEW)
    project.dvc("repro", "train")
    assert digests(project) == whole


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


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc in which we are a study: 1 has started 20, which has started 30, our parent."""
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python", "-m", "study.run", "small"])
    monkeypatch.setattr(alone, "PROCESSES", tmp_path)
    monkeypatch.setattr(os, "getppid", lambda: 30)
    monkeypatch.setattr(os, "getpgid", lambda process: os.getpgrp())
    for process, parent, program, command in (
        (30, 20, "/bin/sh", ["sh", "-c", "python -m study.run small"]),
        (20, 1, "/usr/bin/python3.11", ["/usr/bin/python", "-m", "dvc", "repro"]),
        (1, 0, "/bin/sh", ["sh", "-c", "dvc repro study/dvc.yaml; sleep 1"]),
    ):
        folder = tmp_path / str(process)
        folder.mkdir()
        (folder / "cmdline").write_bytes("\0".join([*command, ""]).encode())
        (folder / "stat").write_text(f"{process} (a) b) S {parent} 20")
        (folder / "exe").symlink_to(program)
    return tmp_path


def test_the_shell_that_passes_a_command_on_is_not_its_caller(processes: Path) -> None:
    assert alone.caller() == 20
    assert not alone.has_ended(20)


def test_the_first_process_of_a_container_is_dvc_only_if_it_can_be(processes: Path) -> None:
    """It adopts what dvc leaves, and is of the same group where no shell makes groups."""
    (processes / "30/stat").write_text("30 (sh) S 1 20")
    assert alone.caller() == 1
    assert alone.has_ended(1)
    for program in ("/usr/bin/python3.11", "/usr/lib/dvc/dvc"):
        (processes / "1/exe").unlink()
        (processes / "1/exe").symlink_to(program)
        assert not alone.has_ended(1)


def test_another_claim_lets_a_study_run_beside_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    ran: list[str] = []
    with claimed():
        run_stage(lambda: ran.append("study"), CLAIM.with_name("study"))
        with pytest.raises(SystemExit, match="is at work in this folder"):
            run_stage(lambda: ran.append("stage"))
    assert ran == ["study"]
