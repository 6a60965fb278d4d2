"""The objects and runs of a cache or a remote, every one of them hashed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
from dvc.stage.cache import _get_cache_hash  # pyright: ignore[reportPrivateUsage]
from dvc.utils.serialize import parse_yaml
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import file_md5
from dvc_objects.fs.base import FileSystem

OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")
RUN = re.compile(r"[0-9a-f]{128}")

REPAIR_RUN = "its stage stores it again when it next runs"
REPAIR_UNREAD = "it may be intact and is kept; verify again when it can be read, or delete it"


@dataclass
class Store:
    """A cache or a remote: its whole objects, how many entries are whole, and what is wrong.

    damaged: paths on `fs`, which may be deleted.
    """

    place: str
    fs: FileSystem
    whole: int = 0
    objects: set[str] = field(default_factory=set[str])
    unsure: set[str] = field(default_factory=set[str])  # objects that are damaged or unreadable
    damaged: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return f"{self.whole} objects and runs {self.place}"

    def remove(self) -> Iterator[str]:
        """Delete what is damaged, each after its line, and a line for each that stays."""
        for path in self.damaged:
            where = self.fs.unstrip_protocol(path)
            yield f"deleting {where}"
            try:
                self.fs.remove(path)
            except Exception as error:  # each kind of remote has its own
                yield f"cannot delete {where}: {error}"


def check_store(odb: HashFileDB, place: str, repair: str) -> Store:
    """Hash everything that a cache or a remote holds, whether or not a lock names it."""
    fs = odb.fs
    store = Store(place, fs)
    runs = fs.join(fs.parent(fs.parent(odb.path)), "runs")
    for folder, kind, problem_of, advice in (
        (odb.path, OBJECT, object_problem, repair),
        (runs, RUN, run_problem, REPAIR_RUN),
    ):
        for path in files_below(fs, folder):
            name = "".join(fs.parts(path)[-2:])
            if not kind.fullmatch(name):
                continue  # left by an interrupted transfer, under a name that is never asked for
            where = fs.unstrip_protocol(path)
            try:
                wrong = problem_of(fs, path, name)
            except Exception as error:  # each kind of remote has its own
                store.wrong.append(f"{where}: cannot be read ({error}); {REPAIR_UNREAD}")
                store.unsure.add(name)
                continue
            if not wrong:
                store.whole += 1
                store.objects.add(name)
                continue
            store.unsure.add(name)
            store.damaged.append(path)
            line = f"{where}: {wrong}; delete it (`make verify REMOVE=1`), then {advice}"
            store.wrong.append(line)
    return store


def files_below(fs: FileSystem, folder: str) -> list[str]:
    """Every file below a folder, sorted; none where nothing was ever stored."""
    try:
        return sorted(fs.find(folder))
    except FileNotFoundError:
        return []


def object_problem(fs: FileSystem, path: str, name: str) -> str:
    """What is wrong with an object, or an empty string."""
    md5 = file_md5(path, fs)
    return "" if md5 == name.removesuffix(".dir") else f"has md5 {md5}, its name says {name}"


def run_problem(fs: FileSystem, path: str, name: str) -> str:
    """What is wrong with an entry of the run cache, or an empty string.

    Its name is made of two hashes as in dvc/stage/cache.py, which leave out the sizes in it: DVC
    measures those again.
    """
    content = fs.cat_file(path)
    try:
        entry = parse_yaml(content, path)
        COMPILED_LOCK_FILE_STAGE_SCHEMA(entry)
        value = _get_cache_hash(entry)  # before the key, which removes parts of the entry
        actual = _get_cache_hash(entry, key=True) + value
    except Exception:  # damaged content fails in many ways
        actual = ""
    return "" if actual == name else "is not the run that its name says"
