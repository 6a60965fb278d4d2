"""A thorough run counts what was tried, and fails where the README says otherwise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

README = (ROOT / "README.md").read_text()
NAME = "test_evaluate_refuses_a_flipped_bit"
FOUND = re.search(
    rf"^\| (.*) \| `tests/faults/test_rot.py::{NAME}` \| ([\d,]+) \|$", README, re.MULTILINE
)
ROW, PROMISE, COUNT = FOUND[0], FOUND[1], int(FOUND[2].replace(",", ""))
TEST = """
import pytest

@pytest.mark.promise({promise!r}, quick=1, thorough={count})
def {name}(times):
    {body}
"""


def run(folder: Path, body: str, count: int) -> subprocess.CompletedProcess[str]:
    """A thorough run, with seed 7, of a single test under the name of one of ours."""
    path = folder / "tests/faults/test_rot.py"
    path.parent.mkdir(parents=True)
    path.write_text(TEST.format(promise=PROMISE, count=count, name=NAME, body=body))
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--thorough", "--fault-seed", "7", str(path)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_what_was_tried_as_often_as_the_readme_says_passes(tmp_path: Path) -> None:
    done = run(tmp_path, f"assert times == {COUNT}", COUNT)
    assert done.returncode == 0, done.stdout
    assert " promises kept, --fault-seed 7 " in done.stdout
    assert f"\n{ROW}\n" in done.stdout
    assert "error: " not in done.stdout


def test_another_count_fails(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", COUNT + 1)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert f"error: not in README.md, which says otherwise: | {PROMISE} | " in done.stdout


def test_a_skip_fails(tmp_path: Path) -> None:
    done = run(tmp_path, "pytest.skip('no server here')", COUNT)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "not tried, so not kept: Skipped: no server here" in done.stdout
    assert ROW not in done.stdout
