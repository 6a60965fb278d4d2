"""Every program says what it reads and writes, at once, and takes no argument that it ignores."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

STARTED = re.compile('^if __name__ == "__main__":$', re.MULTILINE)
PARSES = re.compile("^(import|from) argparse", re.MULTILINE)
FILES = [
    path
    for path in [
        ROOT / "run.py",
        *sorted(ROOT.glob("stages/**/*.py")),
        *sorted(ROOT.glob("study/**/*.py")),
    ]
    if STARTED.search(path.read_text())
]
PROGRAMS = [str(path.relative_to(ROOT)) for path in FILES]
WITHOUT_ARGUMENTS = [name for name in PROGRAMS if not PARSES.search((ROOT / name).read_text())]


def start(name: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Start a program in a folder that is none of the project's, listing what it imports."""
    module = name.removesuffix(".py").replace("/", ".")
    program = ["-m", module] if "/" in name else [str(ROOT / name)]
    return subprocess.run(
        [sys.executable, "-X", "importtime", *program, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What it printed on stderr, without the list of imports."""
    lines = done.stderr.splitlines()
    return "\n".join(line for line in lines if not line.startswith("import time:"))


def test_the_stages_and_the_study_are_among_the_programs() -> None:
    assert {"run.py", "stages/check.py", "stages/download.py", "stages/preprocess.py"} <= {
        *PROGRAMS
    }
    assert {"stages/train.py", "stages/evaluate.py", "study/screen.py"} <= {*WITHOUT_ARGUMENTS}
    assert "study/run.py" in PROGRAMS
    assert "study/run.py" not in WITHOUT_ARGUMENTS


@pytest.mark.parametrize("name", PROGRAMS)
def test_its_docstring_says_what_is_read_and_written(name: str) -> None:
    source = (ROOT / name).read_text()
    docstring = ast.get_docstring(ast.parse(source)) or ""
    assert re.search(r"\bReads\b", docstring)
    assert re.search(r"\b([Ww]rites?|[Pp]rints?)\b", docstring)
    if name not in WITHOUT_ARGUMENTS:
        assert re.search(r"ArgumentParser\(\s*description=__doc__", source), "its --help says so"


@pytest.mark.parametrize("name", WITHOUT_ARGUMENTS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_the_docstring_and_quick(name: str, option: str, tmp_path: Path) -> None:
    done = start(name, option, folder=tmp_path)
    assert done.returncode == 0, said(done)
    docstring = ast.get_docstring(ast.parse((ROOT / name).read_text()))
    assert re.fullmatch(r"usage: python .*\n\n" + re.escape(f"{docstring}\n"), done.stdout)
    imports = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "ast" in imports
    assert not imports & {"torch", "numpy", "pandas", "pydantic"}, "these take seconds"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", WITHOUT_ARGUMENTS)
def test_an_argument_is_refused_before_anything_is_touched(name: str, tmp_path: Path) -> None:
    done = start(name, "--epochs", "3", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said(done).startswith("error: unknown argument '--epochs': python ")
    assert len(said(done).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_make_alone_lists_every_target_in_a_line() -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "--no-print-directory"]
    listed = subprocess.run(
        command, cwd=ROOT, env=kept, check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert sorted(line.split()[:2] for line in listed) == [
        ["make", name] for name in sorted(targets)
    ]
    assert all(len(line.split()) > 3 for line in listed), "each is explained"
