"""What git says of a folder."""

import os
import subprocess
from pathlib import Path

from digits.core.errors import UserError


def git(*arguments: str, folder: Path = Path(), standard_input: str = "") -> str:
    """Output of a git command; empty if it fails, as it does outside of a repository.

    Raises:
        UserError: git refuses the repository, because it belongs to another user.
    """
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=os.environ | {"LC_ALL": "C"},  # its messages in English
        input=standard_input,
        capture_output=True,
        text=True,
    )
    if done.returncode and "dubious ownership" in done.stderr:
        lines = [line.strip() for line in done.stderr.splitlines()]
        problem, advice = lines[0].removeprefix("fatal: "), lines[-1]
        raise UserError(f"git: {problem}; if you trust what is in it: `{advice}`")
    return "" if done.returncode else done.stdout
