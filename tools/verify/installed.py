"""The installed packages and all bytecode: files that Python runs and never checks."""

import base64
import csv
import hashlib
import marshal
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import MAGIC_NUMBER, source_from_cache
from itertools import chain
from pathlib import Path

REINSTALL = "`rm -rf .venv`, and the next `make` installs it again"
KIND = "sha256="  # of digests, in front of each
PLAIN = 0  # a version of the format without references, which depend on what else is in memory


def damaged_packages(path: Sequence[str] = sys.path) -> Iterator[str]:
    """A line for each installed file that is not as its package's RECORD says."""
    for record in chain.from_iterable(Path(site).glob("*.dist-info/RECORD") for site in path):
        for row in csv.reader(record.read_text(errors="replace").splitlines()):
            name, expected, *_ = [*row, "", ""]
            if not expected:
                continue  # RECORD itself, and what was made later
            file = record.parent.parent / name
            try:
                digest = hashlib.sha256(file.read_bytes()).digest()
            except OSError as error:
                yield f"{file}: {error.strerror}; {record} names it; {REINSTALL}"
                continue
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != expected[len(KIND) :]:
                yield f"{file}: is not as {record} says; {REINSTALL}"


def damaged_bytecode(folders: Iterable[Path]) -> Iterator[str]:
    """A line for each .pyc file that Python would run in place of its source, and is not of it."""
    for path in chain.from_iterable(folder.rglob("__pycache__/*.pyc") for folder in folders):
        source = Path(source_from_cache(str(path)))
        bytecode = path.read_bytes()
        if not source.is_file() or not _is_current(bytecode, source):
            continue  # Python compiles the source again, or there is none
        try:
            code = marshal.loads(bytecode[16:])  # noqa: S302  Python would run it unasked
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old code in packages
                again = compile(
                    source.read_bytes(), code.co_filename, "exec", dont_inherit=True, optimize=0
                )
            is_same = marshal.dumps(code, PLAIN) == marshal.dumps(again, PLAIN)
        except Exception:  # damaged bytecode fails in many ways
            is_same = False
        if not is_same:
            yield f"{path}: is not the bytecode of {source.name}; delete it, Python makes it again"


def _is_current(bytecode: bytes, source: Path) -> bool:
    """Whether the header names this Python, and the source's time and size."""
    status = source.stat()
    header = MAGIC_NUMBER + bytes(4)
    for number in (int(status.st_mtime), status.st_size):
        header += (number & 0xFFFFFFFF).to_bytes(4, "little")
    return bytecode[:16] == header
