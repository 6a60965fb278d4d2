"""The commands that the README shows, to be run as they stand there."""

import re
import subprocess
from pathlib import Path

from tests.project import ROOT, Project


def commands(section: str) -> str:
    """The lines of every `sh` block of a section of the README, in order."""
    readme = (ROOT / "README.md").read_text()
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {section!r}"
    blocks = re.findall(r"^```sh\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)
    assert blocks, f"the section {section!r} has no sh block"
    return "".join(blocks)


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
