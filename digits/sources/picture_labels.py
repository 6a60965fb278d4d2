"""Which class each of the user's own pictures has: by its folder, or by a table.

Either a folder for each class, as torchvision's ImageFolder has them, perhaps below `train` and
`test`; or one CSV file with the columns `path` and `label`, perhaps `split`.
"""

import csv
import io
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tqdm import tqdm

from digits.core.errors import UserError, did_you_mean, one_line
from digits.pictures.opening import has_picture_suffix
from digits.sources.picture_store import Store

SHOWN = 10  # names of a kind
HELP = "put a folder of pictures for each class there, or see docs/own_pictures.md"


@dataclass(frozen=True)
class Entry:
    """A picture: the name of its file, the name of its class, and `train`, `test` or nothing."""

    file: str
    label: str
    part: str = ""


def entries_of(store: Store) -> Iterator[Entry]:
    """The pictures with their classes, in any order."""
    tables = [name for name in store.files if name.lower().endswith(".csv")]
    if len(tables) == 1:
        yield from _of_table(store, tables[0])
        return
    files = [name for name in store.files if has_picture_suffix(name)]
    if not files:
        raise UserError(f"{store.where}: holds no pictures; {HELP}")
    others = sorted(set(store.files) - set(files))
    if others:
        tqdm.write(
            f"preprocess: skipped without a picture's extension: {listed(others)}",
            file=sys.stderr,
        )
    parts = [PurePosixPath(name).parts for name in files]
    empty = [PurePosixPath(name).parts for name in store.folders]
    while len({each[0] for each in parts}) == 1 and min(map(len, parts)) > 2:  # leaves/oak/1.png
        parts = [each[1:] for each in parts]
        empty = [each[1:] for each in empty if len(each) > 1]
    tops = {each[0] for each in parts}
    is_split = "train" in tops
    if is_split and tops != {"train", "test"}:
        beside = listed(tops - {"train"}) or "nothing"
        raise UserError(
            f"{store.where}: beside `train` there is {beside}, expected `test` alone; move "
            "validation pictures to `train`, from which "
            "preprocess.validation_size holds some out"
        )
    depth = 1 + is_split
    for name, each in zip(files, parts, strict=True):
        if len(each) <= depth:
            raise UserError(f"{store.where}: {one_line(name)} is in no class's folder; {HELP}")
        yield Entry(name, _label(each[depth - 1]), each[0] if is_split else "")
    used = {each[:depth] for each in parts}
    for each in empty:
        if len(each) == depth and each not in used:
            raise UserError(
                f"{store.where}: the class {one_line('/'.join(each))!r} has no picture; delete "
                "its folder, or put some there"
            )


def _of_table(store: Store, name: str) -> Iterator[Entry]:
    """The pictures that a CSV file lists; its paths start where it is."""
    where = f"{store.where}: {one_line(name)}"
    try:
        rows = list(csv.DictReader(io.StringIO(store.read(name).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where}: not a CSV file in UTF-8: {one_line(str(error))}") from None
    columns = set(rows[0]) if rows else set[str]()
    if not {"path", "label"} <= columns <= {"path", "label", "split"}:
        raise UserError(
            f"{where}: columns are {sorted(map(str, columns))}, expected path and label, and split "
            "if it is given"
        )
    files, seen = set(store.files), dict[str, str]()
    folder = name.rpartition("/")[0]
    for line, row in enumerate(rows, 2):
        path, label, part = row["path"] or "", _label(row["label"] or ""), row.get("split") or ""
        file = f"{folder}/{path}".lstrip("/") if folder else path
        if file not in files:
            hint = did_you_mean(file, store.files)
            raise UserError(f"{where}, line {line}: no file {one_line(path)!r}; {hint}".strip("; "))
        if not label or seen.setdefault(file, label) != label:
            problem = f"is {label!r} and {seen[file]!r}" if label else "has no label"
            raise UserError(f"{where}, line {line}: {one_line(path)!r} {problem}")
        if part not in ("", "train", "test"):
            raise UserError(f"{where}, line {line}: split {one_line(part)!r}, not train or test")
        yield Entry(file, label, part)


def _label(text: str) -> str:
    return unicodedata.normalize("NFC", one_line(text.strip()))


def listed(names: Sequence[str] | set[str]) -> str:
    """Some names, quoted."""
    shown = [repr(one_line(name, 40)) for name in sorted(names)]
    more = [f"{len(shown) - SHOWN:,} more"] if len(shown) > SHOWN else []
    return ", ".join([*shown[:SHOWN], *more])
