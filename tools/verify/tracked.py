"""Files that git holds: their content, where git itself looks at sizes and times only."""

import subprocess
from collections.abc import Iterator
from pathlib import Path


def damaged_files(root: Path) -> Iterator[str]:
    """A line for each file that git takes for unchanged, with other content than git has."""
    edited = {*_git(root, "diff-files", "--name-only", "-z").split("\0")}
    hashes: dict[str, str] = {}
    for line in _git(root, "ls-files", "--stage", "-z").split("\0")[:-1]:
        entry, _, path = line.partition("\t")
        mode, sha, _ = entry.split()
        if mode.startswith("100") and path not in edited:
            hashes[path] = sha
    actual = _git(root, "hash-object", "--stdin-paths", paths="\n".join(hashes)).split()
    for (path, sha), now in zip(hashes.items(), actual, strict=False):
        if sha != now:
            yield f"{path}: is not what git has, and nobody edited it; `git checkout {path}`"


def _git(root: Path, *arguments: str, paths: str = "") -> str:
    """The output of a git command; empty where there is no repository."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, input=paths, capture_output=True, text=True).stdout
