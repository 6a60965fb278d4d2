"""The user's own picture files, in a folder, a zip or a tar; nothing in them is trusted."""

import lzma
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from digits.core.errors import UserError, one_line

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILES = 1_000_000
MAX_FILE_BYTES = 200_000_000
BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError
)  # fmt: skip
PLACEHOLDER = "README.md"  # of the empty folder in the repository


@dataclass(frozen=True)
class Store:
    """Files by name, with "/" between folders, in the order in which they are best read.

    folders: all names of folders. Hidden files, and what macOS adds to archives, are left out.
    """

    where: Path
    files: list[str]
    folders: list[str]
    read: Callable[[str], bytes]


@contextmanager
def opened(root: Path) -> Generator[Store]:
    """What is in a folder, or in the archive that is alone in it.

    Raises:
        UserError: no such folder; or it holds links, names that two systems read differently, too
            many files, or an archive that is damaged or points out of itself.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; it should hold a folder of pictures per class")
    files, folders = _walk(root)
    archives = [name for name in files if name.lower().endswith(ARCHIVES)]
    if len(files) == 1 and archives:
        with _archive(root / files[0]) as store:
            yield _checked(store)
        return
    if archives:
        raise UserError(
            f"{root / one_line(archives[0])}: an archive is read if it is alone in {root}, but "
            f"{len(files) - 1:,} more files are there; unpack it, or move them elsewhere"
        )
    yield _checked(Store(root, files, folders, lambda name: _content(root / name)))


def _walk(root: Path) -> tuple[list[str], list[str]]:
    """The files and the folders below a folder, sorted."""
    files, folders, waiting = list[str](), list[str](), [root]
    while waiting:
        for path in waiting.pop().iterdir():
            name = path.relative_to(root).as_posix()
            mode = path.lstat().st_mode
            if path.name.startswith(".") or name == PLACEHOLDER:
                continue
            if stat.S_ISDIR(mode):
                folders.append(name)
                waiting.append(path)
            elif stat.S_ISREG(mode):
                files.append(name)
            else:
                kind = "a link; DVC does not see what is behind it, so" if path.is_symlink() else (
                    "neither a file nor a folder;"
                )  # fmt: skip
                raise UserError(f"{root / one_line(name)}: {kind} put the files themselves there")
            if len(files) > MAX_FILES:
                raise UserError(f"{root}: more than {MAX_FILES:,} files")
    return sorted(files), sorted(folders)


def _content(path: Path) -> bytes:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(f"too large: at most {MAX_FILE_BYTES:,} bytes are read")
    return path.read_bytes()


@contextmanager
def _archive(path: Path) -> Generator[Store]:
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                yield _of_zip(path, archive)
        else:
            with tarfile.open(path) as archive:
                yield _of_tar(path, archive)
    except BROKEN as error:
        problem = one_line(str(error)) or type(error).__name__
        raise UserError(f"{path}: not a whole archive: {problem}") from None
    except RuntimeError as error:  # zipfile's word for a password
        raise UserError(f"{path}: {one_line(str(error))}") from None


def _of_zip(path: Path, archive: zipfile.ZipFile) -> Store:
    members = {each.filename: each for each in archive.infolist()}
    _check_members(path, ((each.filename, each.file_size) for each in archive.infolist()))
    for each in members.values():
        if stat.S_ISLNK(each.external_attr >> 16):
            raise UserError(f"{path}: {one_line(each.filename)} is a link; pack the files it means")
    files = [name for name, each in members.items() if not each.is_dir()]
    folders = [name.rstrip("/") for name, each in members.items() if each.is_dir()]
    return Store(path, files, folders, archive.read)


def _of_tar(path: Path, archive: tarfile.TarFile) -> Store:
    members = dict[str, tarfile.TarInfo]()
    for each in archive:
        name = each.name.removeprefix("./")
        _check_members(path, [(name, each.size)])
        if not each.isfile() and not each.isdir():
            raise UserError(f"{path}: {one_line(name)} is a link or a device; pack files alone")
        members[name] = each
        if len(members) > MAX_FILES:
            raise UserError(f"{path}: more than {MAX_FILES:,} files")
    files = [name for name, each in members.items() if each.isfile()]
    folders = [name for name, each in members.items() if each.isdir() and name != "."]

    def read(name: str) -> bytes:
        file = archive.extractfile(members[name])
        return file.read() if file else b""

    return Store(path, files, folders, read)


def _check_members(path: Path, members: Iterable[tuple[str, int]]) -> None:
    """Refuse names that lead out of the archive, and contents that unpack to too much."""
    for number, (name, size) in enumerate(members):
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise UserError(f"{path}: {one_line(name)!r} leads out of the archive; pack it again")
        if size > MAX_FILE_BYTES or number >= MAX_FILES:
            raise UserError(
                f"{path}: {one_line(name)} unpacks to {size:,} bytes; at most {MAX_FILES:,} files "
                f"of {MAX_FILE_BYTES:,} bytes are read"
            )


def _checked(store: Store) -> Store:
    """Without hidden files; no two names that some systems take for one."""
    files, folders = (
        [name for name in names if not _is_hidden(name)] for names in (store.files, store.folders)
    )
    first = dict[str, str]()
    for name in [*folders, *files]:
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            other = first.setdefault(unicodedata.normalize("NFC", part).casefold(), part)
            if other != part:
                raise UserError(
                    f"{store.where}: {one_line(other)!r} and {one_line(part)!r} differ in case or "
                    "in how Unicode spells them, and are one name on other systems; rename one"
                )
    return Store(store.where, files, folders, store.read)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
