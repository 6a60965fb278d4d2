"""Never two stages at work in one folder."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from digits.core.stage_lock import LOCK
from stages import paths
from tests.faults.test_kill import PATIENCE, results, uninterrupted, wait_for
from tests.project import Project

FEW = 3  # epochs


def test_two_repros_at_once_give_one_error_and_no_damage(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While dvc runs, its own lock keeps others out; if dvc is killed, that of its stage does."""
    project.change("train", epochs=FEW)
    expected = uninterrupted(project, tmp_path / "whole", monkeypatch)
    project.change("train", epochs=10_000)
    dvc = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "train"],
        cwd=project.path,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # one group with its stage, to be killed at the end
    )
    try:
        wait_for(project.path / paths.CHECKPOINT)
        holder = project.read(str(LOCK)).decode()
        trainer = psutil.Process(int(holder.split()[1]))
        outputs = [project.dvc("repro", "train", fails=True)]
        dvc.kill()
        dvc.wait()
        outputs.append(project.dvc("repro", "train", fails=True))
        for output in outputs:
            assert output.count("ERROR: ") == 1
            assert "Traceback" not in output
        advice = "wait for it to end, or kill it, and run again"
        assert f"\nerror: {holder} is at work in this folder; {advice}\n" in outputs[1]
        assert holder == f"process {trainer.pid} (train)"
        assert trainer.is_running(), "the first one goes on"
        trainer.kill()
        trainer.wait(PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(dvc.pid, signal.SIGKILL)
        dvc.wait()
    project.change("train", epochs=FEW)
    project.dvc("repro", "train")  # nothing has to be unlocked
    assert results(project) == expected
