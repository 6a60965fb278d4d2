"""How programs start: their help, their arguments, the lock of the folder."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from digits.core.entry_point import run_stage
from digits.core.errors import UserError
from digits.core.stage_lock import LOCK, stage_lock
from tests import documented
from tests.project import ROOT

PROGRAMS = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in ("digits", "stages", "study", "tools", "demo")
    for path in sorted(ROOT.glob(f"{folder}/**/*.py"))
    if re.search('^if __name__ == "__main__":$', path.read_text(), re.MULTILINE)
}


def python(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run Python in a folder that is not the project's; returns its code and what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name.startswith("stages/")])
def test_help_is_the_docstring_and_an_argument_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = re.search(r"    run_stage\(main(?:, model=(\w+))?\)\n\Z", PROGRAMS[name])
    assert last, "what runs is what is tested here"
    stage = importlib.import_module(name.removesuffix(".py").replace("/", "."))
    model = getattr(stage, last[1]) if last[1] else None
    monkeypatch.chdir(tmp_path)
    for arguments, code in (["--help"], "0"), (["--epochs", "3"], "2"):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit, match=code):
            run_stage(stage.main, model=model)
    printed = capsys.readouterr()
    assert stage.__doc__.strip() in printed.out
    assert "unrecognized arguments: --epochs 3" in printed.err
    assert not list(tmp_path.iterdir())


def test_the_same_in_a_process_of_its_own_and_an_import_never_ends_one(tmp_path: Path) -> None:
    """`card` stands for all stages: the others take seconds to import torch."""
    code, printed = python(tmp_path, "-m", "stages.card", "--help")
    assert code == 0, printed
    assert printed.startswith("usage: python -m stages.card [-h]\n\nDescribe the trained model")
    assert python(tmp_path, "-m", "stages.card", "--epochs", "3")[0] == 2
    assert not list(tmp_path.iterdir())

    alive = python(tmp_path, "-c", "import digits, stages; print('alive')", "--help", "--epochs")
    assert alive == (0, "alive\n")
    script = (
        "import digits\ntry: import stages\nexcept ModuleNotFoundError as e: print('caught', e)"
    )
    code, printed = python(tmp_path, "-S", "-c", script)
    assert re.match(r"caught .* has no torch: .* `make repro`", printed), printed


def test_a_stage_that_is_called_as_a_file_says_how_it_is_called() -> None:
    """Whatever the folder; `card` and `check` stand for all; the others import torch first."""
    for folder, file in (ROOT, "stages/card.py"), (ROOT / "stages", "check.py"):
        done = subprocess.run(
            [sys.executable, file], cwd=folder, capture_output=True, text=True, timeout=60
        )
        name = Path(file).stem
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: in the project's folder, call a stage by its name: `python -m stages.{name}`\n"
        )


def test_uv_takes_the_environment_as_it_is(tmp_path: Path) -> None:
    """`uv sync` would install what is newest, and write a second lock."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    kept = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}

    def uv(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "uv", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True)
        return done.returncode, " ".join((done.stdout + done.stderr).split())  # uv wraps lines

    refused = (2, f"error: The project is marked as unmanaged: {tmp_path}")
    assert uv("sync", "--offline") == uv("lock", "--offline") == refused
    command = documented.command("uv run dvc repro").split()[1:3]
    assert uv(*command, "--version") == (0, version("dvc"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".venv", "pyproject.toml"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_docstring_says_what_a_program_reads_and_writes(name: str) -> None:
    docstring = ast.get_docstring(ast.parse(PROGRAMS[name])) or ""
    if name.startswith(("stages/", "study/")):
        assert re.search(r"\bReads\b", docstring)
        assert re.search(r"\b([Ww]rites?|[Pp]rints?)\b", docstring)
    for call in re.findall(r"ArgumentParser\(([^)]*)\)", PROGRAMS[name]):
        assert "description=__doc__" in call, "--help says so"


def test_a_stage_locks_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        refused = rf"^process {os.getpid()} \(test_entry_point\) is at work"
        with pytest.raises(UserError, match=refused), stage_lock():
            pass
        with stage_lock(tmp_path / "another"):
            raise UserError("do this")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(SystemExit, match="error: do this"):
        run_stage(main)
    with stage_lock():
        assert LOCK.read_text() == f"process {os.getpid()} (python)"


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "a folder/lock"
    code = f"""if True:
        from pathlib import Path
        from digits.core.stage_lock import stage_lock
        with stage_lock(Path({str(path)!r}), "train"):
            print("locked", flush=True)
            input()
    """
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=pipe, stdout=pipe) as child:
        assert child.stdout.readline() == b"locked\n"
        with pytest.raises(UserError) as caught, stage_lock(path):
            pass
        child.kill()
    assert str(caught.value) == (
        f"process {child.pid} (train) is at work in this folder; wait for it to end, or kill it, "
        "and run again"
    )
    with stage_lock(path):
        pass


def test_make_alone_lists_every_target_in_a_line() -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    command = ["make", "--no-print-directory"]
    listed = subprocess.check_output(command, cwd=ROOT, env=kept, text=True).splitlines()
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert sorted(line.split()[1] for line in listed) == sorted(targets.split())
    assert all(len(line.split()) > 3 for line in listed), "each is explained"
