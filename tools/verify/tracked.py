"""Files that git holds: their content, where git itself looks at sizes and times only."""

from collections.abc import Iterator
from pathlib import Path

from tools.git import git


def damaged_files(root: Path) -> Iterator[str]:
    """A line for each file that git takes for unchanged, with other content than git has."""
    edited = {*git("diff-files", "--name-only", "-z", folder=root).split("\0")}
    hashes: dict[str, str] = {}
    for line in git("ls-files", "--stage", "-z", folder=root).split("\0")[:-1]:
        entry, _, path = line.partition("\t")
        mode, sha, _ = entry.split()
        if mode.startswith("100") and path not in edited:
            hashes[path] = sha
    names = "\n".join(hashes)
    actual = git("hash-object", "--stdin-paths", folder=root, standard_input=names).split()
    for (path, sha), now in zip(hashes.items(), actual, strict=False):
        if sha != now:
            yield f"{path}: is not what git has, and nobody edited it; `git checkout {path}`"
