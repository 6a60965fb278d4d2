"""The commands that the README shows, to be run as they stand there."""

import re
import subprocess
from pathlib import Path

from tests.project import ROOT, Project

README = re.sub(r" +# .*", "", (ROOT / "README.md").read_text())  # remarks are no part of a command
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_TEXT = re.compile(r"`((?:make|dvc|python|git|cp) [^`]+|\.ci/[^`]+)`")


def every() -> list[str]:
    """All commands: lines of `sh` blocks, in other blocks what follows a `$`, and code in text."""
    found: list[str] = []
    for kind, block in BLOCK.findall(README):
        lines = block.splitlines()
        found += lines if kind == "sh" else [line[2:] for line in lines if line[:2] == "$ "]
    found += [" ".join(code.split()) for code in IN_TEXT.findall(BLOCK.sub("", README))]
    return found


def commands(section: str) -> str:
    """The lines of every `sh` block of a section of the README, in order."""
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {section!r}"
    blocks = [block for kind, block in BLOCK.findall(found[1]) if kind == "sh"]
    assert blocks, f"the section {section!r} has no sh block"
    return "".join(blocks)


def command(line: str) -> str:
    """The same line, which the README has as a whole command; for the test that runs it."""
    assert line in every(), f"the README has no command {line!r}"
    return line


def run(project: Project, code: str, log: Path, timeout: float) -> str:
    """Run shell lines until one fails; returns them and what they printed.

    They print to a file: a background process would keep a pipe open.
    """
    with log.open("w") as file:
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", code],
            cwd=project.path,
            env=project.environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
    assert done.returncode == 0, log.read_text()
    return log.read_text()
