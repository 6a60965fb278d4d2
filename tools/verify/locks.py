"""What dvc.lock names, and what it should name but does not."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dvc.repo import Repo
from dvc.stage import Stage


@dataclass(frozen=True)
class Locked:
    """A path that a lock file names, its md5, and whether DVC caches it or git holds it."""

    lock: Path
    path: str
    md5: str
    cached: bool


def locked(root: Path, repo: Repo) -> list[Locked]:
    """Everything that the lock names, once: outputs and dependencies."""
    cached = {out.fs_path for out in repo.index.outs if out.use_cache}
    entries: dict[Locked, None] = {}
    for stage in repo.index.stages:
        lock = _lock_of(stage)
        for each in chain(stage.outs, stage.deps):
            if each.hash_info and each.hash_info.name == "md5":
                path, md5 = each.fs_path, str(each.hash_info.value)
                entries[Locked(lock, os.path.relpath(path, root), md5, path in cached)] = None
    return sorted(entries, key=lambda entry: (entry.lock, entry.path))


def lacking(repo: Repo) -> Iterator[str]:
    """A line for each stage that a lock lacks, and for each part of a stage."""
    for stage in repo.index.stages:
        lock = _lock_of(stage)
        advice = f"`git checkout {lock}` brings it back, or `make repro` makes it"
        parts = list(chain(stage.outs, stage.deps))
        lost = [str(each.def_path) for each in parts if not each.hash_info]
        name = stage.addressing.rpartition(":")[2]
        if len(lost) == len(parts):
            yield f"{lock}: has no stage {name}; {advice}"
        else:
            yield from (f"{lock}: stage {name} has no entry {each}; {advice}" for each in lost)


def _lock_of(stage: Stage) -> Path:
    return Path(stage.path_in_repo).with_suffix(".lock")
