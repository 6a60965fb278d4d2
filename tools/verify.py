"""`make verify`: read every byte that DVC keeps for this project, and name what is damaged.

Reads the files that dvc.lock and study/dvc.lock name and, in the local cache and on the default
remote, if there is one, every object, whose name is the md5 of its content, and every entry of the
run cache, whose name is made of two hashes of its content. Prints a line for each problem. DVC
itself trusts a file whose size and time have not changed, an object that is write-protected and any
entry that it can parse; here nothing is trusted. `--remove` (`make verify REMOVE=1`) deletes what
is damaged from cache and remote, so that DVC can replace it; it never touches the workspace.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
from dvc.stage.cache import _get_cache_hash  # pyright: ignore[reportPrivateUsage]
from dvc.utils.serialize import parse_yaml
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import file_md5
from dvc_objects.fs.base import FileSystem
from dvc_objects.fs.local import localfs
from ruamel.yaml import YAML

from digits.core.errors import UserError, exit_with

MAIN, STUDY = Path("dvc.lock"), Path("study/dvc.lock")
OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")
RUN = re.compile(r"[0-9a-f]{128}")

REPAIR_CACHE = "`dvc pull`, or `dvc commit dvc.yaml` if the workspace is intact, stores it again"
REPAIR_REMOTE = "`dvc push` from an intact copy"
REPAIR_RUN = "its stage stores it again when it next runs"
REPAIR_UNREAD = "it may be intact and is kept; verify again when it can be read, or delete it"
REPAIR_CACHED = "delete it, then `dvc checkout`, `dvc pull` or `dvc repro` brings it back"
REPAIR_TRACKED = "`git restore` brings it back; if the change is yours, `dvc repro`"
FETCH_CACHE = "`dvc pull` or `dvc repro` stores them"
FETCH_REMOTE = "`dvc push` stores them"
FETCH_WORKSPACE = "`dvc pull` or `dvc repro` brings them"


@dataclass
class Report:
    """The state of one place: how many entries are whole, and which are wrong or absent."""

    place: str
    repair: str = ""
    fetch: str = FETCH_WORKSPACE
    whole: int = 0
    wrong: list[str] = field(default_factory=list[str])
    absent: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        absent = f" ({len(self.absent)} not here)" if self.absent else ""
        return f"{self.whole} {self.place}{absent}"


@dataclass(frozen=True)
class Locked:
    """A path that a lock file names, its md5, and whether DVC caches it or git holds it."""

    lock: Path
    path: str
    md5: str
    cached: bool


def locked(root: Path, repo: Repo) -> Iterator[Locked]:
    """Everything that the locks name, each path once: outputs of both, and dvc.lock's dependencies.

    The study's lock may refer to earlier code: its rows carry fingerprints of their own.
    """
    cached = {out.fs_path for out in repo.index.outs if out.use_cache}
    seen = set[str]()
    for lock, kinds in ((MAIN, ("outs", "deps")), (STUDY, ("outs",))):
        if not (root / lock).is_file():
            continue
        stages: dict[str, Any] = YAML(typ="safe").load(root / lock)["stages"]
        for kind in kinds:
            for entry in (entry for stage in stages.values() for entry in stage.get(kind, [])):
                if entry["path"] not in seen:
                    seen.add(entry["path"])
                    path = str(root / entry["path"])
                    yield Locked(lock, entry["path"], entry["md5"], path in cached)


def check_workspace(root: Path, repo: Repo, named: list[Locked]) -> Report:
    """Hash every file or folder that the locks name; what git holds must be here."""
    report = Report("files in the workspace")
    forgetful = HashFileDB(localfs, str(root))  # unlike the repository's, it caches no hash
    for entry in named:
        try:
            path = str(root / entry.path)
            ignore: Any = repo.dvcignore
            built = build(forgetful, path, localfs, "md5", dry_run=True, ignore=ignore)
            md5 = str(built[2].hash_info.value)
            wrong = md5 != entry.md5 and f"has md5 {md5}, {entry.lock} says {entry.md5}"
        except FileNotFoundError:
            if entry.cached:
                report.absent.append(entry.path)
                continue
            wrong = f"is missing; {entry.lock} says md5 {entry.md5}"
        except OSError as error:
            wrong = f"cannot be read ({error}); {entry.lock} says md5 {entry.md5}"
        if wrong:
            repair = REPAIR_CACHED if entry.cached else REPAIR_TRACKED
            report.wrong.append(f"{entry.path}: {wrong}; {repair}")
        else:
            report.whole += 1
    return report


def check_stored(odb: HashFileDB, named: list[Locked], remove: bool, report: Report) -> Report:
    """Hash everything that a cache or a remote holds, whether or not a lock names it."""
    fs, seen = odb.fs, set[str]()
    runs = fs.join(fs.parent(fs.parent(odb.path)), "runs")
    for folder, kind, problem_of, repair in (
        (odb.path, OBJECT, object_problem, report.repair),
        (runs, RUN, run_problem, REPAIR_RUN),
    ):
        for path in files_below(fs, folder):
            name = "".join(fs.parts(path)[-2:])
            if not kind.fullmatch(name):
                continue  # left by an interrupted transfer, under a name that is never asked for
            seen.add(name)
            where = fs.unstrip_protocol(path)
            try:
                wrong = problem_of(fs, path, name)
            except Exception as error:  # each kind of remote has its own
                report.wrong.append(f"{where}: cannot be read ({error}); {REPAIR_UNREAD}")
                continue
            if not wrong:
                report.whole += 1
                continue
            done = "deleted" if remove else "delete it (`make verify REMOVE=1`)"
            if remove:
                fs.remove(path)
                seen.remove(name)
            report.wrong.append(f"{where}: {wrong}; {done}, then {repair}")
    absent = {entry.path for entry in named if entry.cached and entry.md5 not in seen}
    report.absent.extend(sorted(absent))
    return report


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


def check(root: Path, remove: bool = False) -> list[Report]:
    """Check cache, default remote and workspace of the project in `root`.

    Raises:
        UserError: DVC cannot read its own files, or the remote does not answer.
    """
    try:
        with Repo(str(root)) as repo:
            named = list(locked(root, repo))
            cache = Report("objects and runs in the cache", REPAIR_CACHE, FETCH_CACHE)
            reports = [check_stored(repo.cache.local, named, remove, cache)]
            if name := repo.config["core"].get("remote"):
                remote = Report(f"objects and runs on remote {name}", REPAIR_REMOTE, FETCH_REMOTE)
                try:
                    odb = repo.cloud.get_remote_odb(name)
                    reports.append(check_stored(odb, named, remove, remote))
                except Exception as error:  # each kind of remote has its own
                    raise UserError(f"remote {name}: cannot be read: {error}") from error
            return [*reports, check_workspace(root, repo, named)]
    except DvcException as error:
        raise UserError(str(error)) from error


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.verify", description=__doc__)
    parser.add_argument("--remove", action="store_true", help="delete what is damaged")
    reports = check(Path.cwd(), parser.parse_args().remove)
    for report in reports:
        for line in report.wrong:
            print(f"wrong: {line}")
        if report.absent:
            print(f"not among the {report.place}: {', '.join(report.absent)}; {report.fetch}")
    wrong = sum(len(report.wrong) for report in reports)
    print(f"verify: {', '.join(map(str, reports))}: {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    exit_with(main)
