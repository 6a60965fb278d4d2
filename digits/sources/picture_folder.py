"""The user's own pictures, read and brought to one form."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from digits.core.config import Preprocess
from digits.core.data_shape import MAX_CLASSES, DataShape
from digits.core.errors import UserError, one_line
from digits.core.tensor_file import MAX_BYTES
from digits.pictures.fitting import fitted
from digits.pictures.opening import opened as opened_picture
from digits.sources.picture_labels import HELP, SHOWN, Entry, entries_of, listed
from digits.sources.picture_store import BROKEN, Store, opened


@dataclass(frozen=True)
class Pictures:
    """All pictures, sorted by the names of their files.

    images: uint8, raw. labels: `(N,)`, places in `shape.classes`, which is sorted. digests: sha256
    of the files' bytes.
    """

    entries: list[Entry]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int16]
    digests: list[str]
    shape: DataShape


def read(root: Path, config: Preprocess) -> Pictures:
    """Read every picture of a folder.

    Raises:
        UserError: see `picture_store.opened`; pictures that cannot be read, a picture in two
            classes, a class without pictures, too few or too many classes, too much in all.
    """
    with opened(root) as store:
        entries = {entry.file: entry for entry in entries_of(store)}
        classes = sorted({entry.label for entry in entries.values()})
        _check_classes(store, classes)
        order = {file: place for place, file in enumerate(sorted(entries))}
        digests, images = [""] * len(order), None
        problems = list[str]()
        waiting = [name for name in store.files if name in entries]
        for name in tqdm(waiting, desc="reading pictures", unit="", disable=None):
            try:
                content = store.read(name)
                with opened_picture(content) as picture:
                    pixels = fitted(picture, config.image_size, config.channels, config.fit)
            except (UserError, *BROKEN) as error:
                problems.append(f"{store.where}: {one_line(name)}: {one_line(str(error))}")
                continue
            if images is None:
                images = _room(store.where, len(order), pixels)
            if pixels.shape != images.shape[1:]:
                problems.append(
                    f"{store.where}: {one_line(name)}: has {len(pixels)} pixels a side, the rest "
                    f"{images.shape[1]}; set preprocess.image_size in params.yaml"
                )
                continue
            digests[order[name]] = hashlib.sha256(content).hexdigest()
            images[order[name]] = pixels
    if problems or images is None:
        raise UserError(_shown(problems, "mend or remove them"))
    ordered = [entries[file] for file in order]
    _check_labels(store.where, ordered, digests)
    place = {label: number for number, label in enumerate(classes)}
    labels = np.array([place[entry.label] for entry in ordered], np.int16)
    shape = DataShape(len(images[0]), config.channels, tuple(classes), config.fit)
    return Pictures(ordered, images, labels, digests, shape)


def _room(where: Path, count: int, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if count * pixels.size > MAX_BYTES // 2:
        raise UserError(
            f"{where}: {count:,} pictures of {pixels.size:,} bytes each are more than "
            f"{MAX_BYTES // 2:,} bytes; lower preprocess.image_size in params.yaml"
        )
    return np.zeros((count, *pixels.shape), np.uint8)


def _check_classes(store: Store, classes: Sequence[str]) -> None:
    if not 2 <= len(classes) <= MAX_CLASSES:
        named = f" ({listed(classes)})" if classes else ""
        raise UserError(
            f"{store.where}: {len(classes):,} classes{named}, expected 2 to {MAX_CLASSES:,}; {HELP}"
        )


def _check_labels(where: Path, entries: Sequence[Entry], digests: Sequence[str]) -> None:
    """Refuse a picture in two classes, and a class or a part of which training has nothing."""
    first = dict[str, Entry]()
    twice = list[str]()
    for entry, digest in zip(entries, digests, strict=True):
        other = first.setdefault(digest, entry)
        if other.label != entry.label:
            files = f"{one_line(other.file)} and {one_line(entry.file)}"
            twice.append(f"{where}: {files} are the same picture in two classes")
    if twice:
        raise UserError(_shown(twice, "remove one of each"))
    if any(entry.part for entry in entries):
        missing = [f"{where}: {one_line(e.file)} has no split" for e in entries if not e.part]
        if missing:
            raise UserError(_shown(missing, "say train or test for every picture, or for none"))
        known = {entry.label for entry in entries if entry.part == "train"}
        tested = {entry.label for entry in entries if entry.part == "test"}
        if tested - known:
            raise UserError(
                f"{where}: only the test pictures have {listed(tested - known)}; the network "
                "cannot learn a class without training pictures"
            )
        if not tested:
            raise UserError(f"{where}: no picture is for the test; leave `split` out, or add some")


def _shown(problems: Sequence[str], advice: str) -> str:
    more = [f"... and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else []
    return "\n".join([*problems[:SHOWN], *more, advice])
