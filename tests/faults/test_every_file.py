"""One flipped bit, in any file of the project: something names it, or it changes nothing."""

import importlib.metadata
import marshal
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

from tests.faults.test_crash import REPRO
from tests.faults.test_rot import flip, overwrite
from tests.project import Project
from tools.verify import __main__ as verify
from tools.verify.installed import damaged_bytecode, damaged_packages

SITE = ".venv/lib/python/site-packages"
PACKAGES = ("tqdm", "pyyaml", "safetensors")  # that are damaged, of some hundred


@pytest.fixture
def project(project: Project) -> Project:
    """The reproduced project, with copies of some installed packages."""
    project.git("config", "core.trustctime", "false")  # a failing disk changes no time at all
    site = project.path / SITE
    for name in PACKAGES:
        for file in importlib.metadata.files(name):
            if "__pycache__" not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), site / file)
    code = [project.path / name for name in ("digits", "stages", "tools")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *code], check=True)
    project.git("status")
    return project


def places(project: Project) -> dict[str, list[Path]]:
    """Files by kind. What is left are locks, times and logs of dvc and git."""
    tracked = project.git("ls-files", "-z").split("\0")[:-1]
    installed = (
        path for path in project.path.glob(".venv/**/*") if "__pycache__" not in path.parts
    )
    found = {
        "tracked": [project.path / name for name in tracked],
        "stored": list(project.path.glob(".dvc/cache/files/**/*")),
        "made": [*project.path.glob("data/**/*.*"), *project.path.glob("models/*.*")],
        "git": list(project.path.glob(".git/objects/??/*")),
        "bytecode": list(project.path.glob("[dst]*/**/__pycache__/*.pyc")),
        "installed": [path for path in installed if path.name != "RECORD"],
    }
    return {kind: [path for path in paths if path.is_file()] for kind, paths in found.items()}


def names(project: Project, kind: str) -> Iterator[str]:
    """The lines that name what is damaged."""
    match kind:
        case "git":
            command = ["git", "fsck", "--full"]
            done = subprocess.run(command, cwd=project.path, capture_output=True, text=True)
            yield from (done.stdout + done.stderr).splitlines()
        case "installed":
            yield from damaged_packages([str(project.path / SITE)])
        case "bytecode":
            yield from damaged_bytecode([project.path / name for name in verify.CODE])
        case _:
            yield from verify.check(project.path).wrong


def is_named(path: Path, lines: list[str], project: Project) -> bool:
    shown = (str(path), str(path.relative_to(project.path)), path.parent.name + path.name)
    return any(name in line for line in lines for name in shown)


@pytest.mark.promise(
    "One flipped bit in any file of the project, tracked, made, stored, compiled or installed, is "
    "named by `make verify`, or by `git fsck` in git's own objects",
    quick=18,
    thorough=300,
)
def test_a_flipped_bit_in_any_file_is_named(
    project: Project, times: int, rng: random.Random
) -> None:
    kinds = places(project)
    assert all(kinds.values()), kinds
    for kind in kinds:
        assert list(names(project, kind)) == [], "nothing is damaged yet"
    for number in range(times):
        kind = sorted(kinds)[number % len(kinds)]
        path = rng.choice([path for path in kinds[kind] if path.stat().st_size])
        content, status = path.read_bytes(), path.stat()
        flip(path, rng)
        try:
            lines = list(names(project, kind))
        except Exception as error:  # of a file without which nothing can be read: dvc.yaml, a lock
            lines = [str(error)]
        assert is_named(path, lines, project) or is_ignored(kind, path, content), (path, lines)
        overwrite(path, content, status)


def is_ignored(kind: str, path: Path, content: bytes) -> bool:
    """Whether the bit changes nothing: Python compiles again, or only a traceback shows it."""
    if kind != "bytecode":
        return False
    damaged = path.read_bytes()
    return damaged[:16] != content[:16] or without_paths(damaged) == without_paths(content)


def without_paths(bytecode: bytes) -> bytes:
    """Bytecode without the paths of its source, which tracebacks show."""

    def bare(code: CodeType) -> CodeType:
        inner = (bare(each) if isinstance(each, CodeType) else each for each in code.co_consts)
        return code.replace(co_filename="", co_consts=tuple(inner))

    return marshal.dumps(bare(marshal.loads(bytecode[16:])), 0)


def test_damaged_files_of_dvc_itself_and_compiled_kernels_change_nothing(
    project: Project, rng: random.Random
) -> None:
    expected = project.results()
    for path in [*project.path.glob("digits/**/*.nbc"), *project.path.glob(".dvc/tmp/*")]:
        if path.is_file() and path.stat().st_size:
            flip(path, rng)
    project.run(*REPRO, "--force", "--single-item", "train")
    assert project.results() == expected
