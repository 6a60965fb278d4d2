"""`make licences`: write docs/licences.md, the licence of every package the pipeline needs.

Those are the dependencies in pyproject.toml, with the optional ones of remotes, theirs, and so on,
as installed here; licences are what the packages' own metadata say.
"""

import platform
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stages.lib import files

PROJECT = Path("pyproject.toml")
PAGE = Path("docs/licences.md")
ONE_LINE = 60  # characters; a longer `License` field is the licence's text, not its name

HEAD = """\
# Licences of the packages that the pipeline needs

Each with the licence that its own metadata state, written by `make licences`; those that only
remotes on S3, SSH and WebDAV need are among them. What only develops, tests or studies the
pipeline is left out. No file of these packages is in this repository.
"""


def needed(requirements: list[str]) -> set[str]:
    """Names of the installed packages that these requirements lead to, on this machine."""
    waiting = [Requirement(text) for text in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in metadata.requires(name) or []:
                further = Requirement(text)
                if further.marker is None or further.marker.evaluate({"extra": extra}):
                    waiting.append(further)
    return {name for name, _ in seen}


def licence(name: str) -> str | None:
    """What a package says of its licence, or None if it says nothing."""
    package = metadata.distribution(name)
    stated = package.metadata
    if "License-Expression" in stated:
        return stated["License-Expression"]
    classifiers = stated.get_all("Classifier") or []
    names = [line.split(" :: ") for line in classifiers if line.startswith("License :: ")]
    classified = [parts[-1] for parts in names if parts[-1] != "OSI Approved"]
    if len(classified) < 2 and "License" in stated:
        line = stated["License"]
        if line and "\n" not in line and len(line) <= ONE_LINE:
            return line
    if classified:
        return ", ".join(classified)
    if not [file for file in package.files or [] if ".dist-info" not in file.parts[0]]:
        return "none stated; has no files of its own, only names other packages"
    return None


def page() -> str:
    """The whole of docs/licences.md, as this machine would write it."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    requirements = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    lines = [HEAD, here(), "", "| package | version | licence |", "|---|---|---|"]
    for name in sorted(needed(requirements)):
        stated = (licence(name) or "UNKNOWN").replace("|", "or")
        lines.append(f"| {name} | {metadata.version(name)} | {stated} |")
    return "\n".join([*lines, ""])


def here() -> str:
    """What decides which packages are installed, as a sentence."""
    version = ".".join(platform.python_version_tuple()[:2])
    return f"As installed with Python {version} on {sys.platform}, {platform.machine()}:"


if __name__ == "__main__":
    files.write(PAGE, page().encode())
