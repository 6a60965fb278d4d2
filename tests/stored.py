"""What DVC stores of a project: the outputs that are not in git, as objects named by their md5."""

import hashlib
from pathlib import Path

import yaml

from tests.project import Project


def outputs(project: Project) -> dict[str, str]:
    """The md5 of each output that DVC stores, by its path."""
    stages = yaml.safe_load(project.read("dvc.lock"))["stages"].values()
    return {
        out["path"]: out["md5"]
        for stage in stages
        for out in stage["outs"]
        if out["path"].startswith(("data/", "models/")) and out["path"] != "models/README.md"
    }


def path_of(md5: str, place: Path) -> Path:
    """Where a cache or a remote keeps an object."""
    return place / "files/md5" / md5[:2] / md5[2:]


def objects_in(place: Path) -> dict[str, bytes]:
    """Content by name, of every file that has the name of an object."""
    paths = (path for path in place.glob("files/md5/??/*") if len(path.name) == 30)
    return {path.parent.name + path.name: path.read_bytes() for path in paths}


def hash_of(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()
