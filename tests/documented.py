"""The commands in README.md and docs/, to be run as they stand there."""

import re
import subprocess
from pathlib import Path

from tests.project import ROOT, Project

PAGES = {
    str(path.relative_to(ROOT)): re.sub(r" +# .*", "", path.read_text())  # no remarks
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_TEXT = re.compile(r"`((?:make|dvc|python|git|cp|uv) [^`]+|\.ci/[^`]+)`")


def every() -> set[str]:
    """All commands: lines of `sh` blocks, in other blocks what follows a `$`, and code in text."""
    listed: set[str] = set()
    for page in PAGES.values():
        for kind, block in BLOCK.findall(page):
            lines = block.splitlines()
            listed |= {*lines} if kind == "sh" else {line[2:] for line in lines if line[:2] == "$ "}
        listed |= {" ".join(code.split()) for code in IN_TEXT.findall(BLOCK.sub("", page))}
    return listed


def commands(page: str, section: str) -> str:
    """The lines of every `sh` block of a section, in order."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGES[page], re.MULTILINE | re.DOTALL)
    assert text, f"{page} has no section {section!r}"
    blocks = [block for kind, block in BLOCK.findall(text[1]) if kind == "sh"]
    assert blocks, f"the section {section!r} of {page} has no sh block"
    return "".join(blocks)


def command(line: str) -> str:
    """The same line, which is a whole command of some page; for the test that runs it."""
    assert line in every(), f"README.md and docs/ have no command {line!r}"
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
