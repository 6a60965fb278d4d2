"""`make verify`: read every byte that this project needs, and name what is damaged or gone.

Reads the files that dvc.lock names, and those that git holds; in the local cache and on the default
remote, if there is one, every object, whose name is the md5 of its content, and every entry of the
run cache, whose name is made of two hashes of its content. DVC and git trust a file whose size and
time have not changed, DVC also an object that is write-protected and any entry that it can parse;
here nothing is trusted. What the lock names must be whole somewhere, and on the remote, and the
model one of the current parameters and data. `--remove` (`make verify REMOVE=1`) deletes what is
damaged from cache and remote, so that DVC can replace it; it never touches the workspace.
`--installed` also reads the installed packages and all bytecode.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.fs.local import localfs

from digits.core.errors import UserError, exit_with
from tools.conflicts import refuse_conflicts
from tools.verify import installed
from tools.verify.locks import Locked, lacking, locked
from tools.verify.origin import foreign_model
from tools.verify.stored import Store, check_store
from tools.verify.tracked import damaged_files

CODE = ("demo", "digits", "stages", "study", "tests", "tools")
CACHE, WORKSPACE = "in the cache", "in the workspace"
REPAIR_CACHE = "`dvc pull`, or `dvc commit dvc.yaml` if the workspace is intact, stores it again"
REPAIR_REMOTE = "`dvc push` from an intact copy"
REPAIR_CACHED = "delete it, then `dvc checkout`, `dvc pull` or `dvc repro` brings it back"
REPAIR_TRACKED = "`git restore` brings it back; if the change is yours, `dvc repro`"
REPAIR_GONE = "`dvc repro` makes it again, with the same bits"


@dataclass
class Result:
    """The state of everything: what is wrong, what is merely elsewhere, and where was looked."""

    stores: Sequence[Store]
    here: int = 0  # whole files in the workspace
    wrong: list[str] = field(default_factory=list[str])
    elsewhere: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        stores = ", ".join(map(str, self.stores))
        return f"verify: {stores}, {self.here} files {WORKSPACE}: {len(self.wrong)} wrong"


def problem_here(root: Path, repo: Repo, entry: Locked) -> str | None:
    """What is wrong with a file or folder of the workspace; None if DVC caches it and it is absent.

    Raises:
        OSError: it cannot be read.
    """
    forgetful = HashFileDB(localfs, str(root))  # unlike the repository's, it caches no hash
    ignore: Any = repo.dvcignore
    path = str(root / entry.path)
    try:
        built = build(forgetful, path, localfs, "md5", dry_run=True, ignore=ignore)
    except FileNotFoundError:
        return None if entry.cached else f"is missing; {entry.lock} says md5 {entry.md5}"
    md5 = str(built[2].hash_info.value)
    return "" if md5 == entry.md5 else f"has md5 {md5}, {entry.lock} says {entry.md5}"


def check_workspace(root: Path, repo: Repo, named: list[Locked], result: Result) -> set[Locked]:
    """Hash every file or folder that the locks name; returns those that are whole."""
    whole = set[Locked]()
    for entry in named:
        try:
            wrong = problem_here(root, repo, entry)
        except OSError as error:
            wrong = f"cannot be read ({error}); {entry.lock} says md5 {entry.md5}"
        if wrong:
            repair = REPAIR_CACHED if entry.cached else REPAIR_TRACKED
            result.wrong.append(f"{entry.path}: {wrong}; {repair}")
        elif wrong is not None:
            whole.add(entry)
    return whole


def find(entry: Locked, is_here: bool, result: Result) -> None:
    """Say where an output that DVC caches is missing, and where it still is."""
    cache, *remotes = result.stores
    has = {WORKSPACE: is_here} | {
        store.place: entry.md5 in store.objects for store in result.stores
    }
    places = [place for place in has if has[place]]
    if not places:
        looked = " nor ".join(has)
        line = f"{entry.path}: no whole copy is {looked}; {REPAIR_GONE}"
        result.wrong.append(line)
        return
    rest = f"; it is {' and '.join(places)}"
    for remote in remotes:
        if entry.md5 not in remote.objects | remote.unsure:
            store = "`dvc push`" if has[CACHE] else "`dvc commit dvc.yaml` and `dvc push`"
            result.wrong.append(
                f"{entry.path}: is not {remote.place}{rest}; {store} stores it there"
            )
    if not has[CACHE] and entry.md5 not in cache.unsure:
        store = "`dvc commit dvc.yaml`" if is_here else "`dvc pull`"
        result.elsewhere.append(f"{entry.path}: is not {CACHE}{rest}; {store} stores it")
    elif not is_here and has[CACHE]:
        result.elsewhere.append(f"{entry.path}: is not {WORKSPACE}{rest}; `dvc checkout` brings it")


def check(root: Path) -> Result:
    """Check cache, default remote, workspace and locks of the project in `root`.

    Raises:
        UserError: DVC cannot read its own files, or the remote does not answer.
    """
    try:
        with Repo(str(root)) as repo:
            named = locked(root, repo)
            stores = [check_store(repo.cache.local, CACHE, REPAIR_CACHE)]
            if name := repo.config["core"].get("remote"):
                try:
                    odb = repo.cloud.get_remote_odb(name)
                    stores.append(check_store(odb, f"on remote {name}", REPAIR_REMOTE))
                except Exception as error:  # each kind of remote has its own
                    raise UserError(f"remote {name}: cannot be read: {error}") from error
            result = Result(stores, wrong=[*lacking(repo), *damaged_files(root)])
            whole = check_workspace(root, repo, named, result)
            result.here = len(whole)
            for store in stores:
                result.wrong += store.wrong
            for entry in named:
                if entry.cached:
                    find(entry, entry in whole, result)
            return result
    except DvcException as error:
        raise UserError(str(error)) from error


def damaged_code() -> Iterator[str]:
    """A line for each installed file and each file of bytecode that is damaged."""
    print("reading the installed packages", file=sys.stderr)
    yield from installed.damaged_packages()
    yield from installed.damaged_bytecode([Path(sys.prefix), *map(Path, CODE)])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--remove", action="store_true", help="delete what is damaged")
    parser.add_argument("--installed", action="store_true", help="read installed packages too")
    options = parser.parse_args()
    refuse_conflicts()
    result = check(Path.cwd())
    if not result.wrong:
        result.wrong += foreign_model()
    if options.installed:
        result.wrong += damaged_code()
    for line in result.wrong:
        print(f"wrong: {line}")
    for line in result.elsewhere:
        print(line)
    if options.remove:
        for store in result.stores:
            for line in store.remove():
                print(line, flush=True)
    print(result)
    sys.exit(1 if result.wrong else 0)


if __name__ == "__main__":
    exit_with(main)
