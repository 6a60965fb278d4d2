"""Read the digits in pictures, or tell their class: `python -m digits.predict IMAGE...`.

Reads models/model.onnx, without torch, and the pictures; prints a table, or JSON. In a folder,
every file with an image extension is read, and sub folders are skipped. A picture that cannot be
read is named on stderr, the others are still read, and the exit code is 1.
"""

import argparse
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from digits.core import files
from digits.core.data_shape import DIGITS, DataShape
from digits.core.errors import UserError, exit_with, one_line
from digits.export import onnx_session
from digits.export.onnx_session import Session
from digits.handwriting import picture_file, sheet
from digits.handwriting.mnist_form import mnist_form
from digits.handwriting.paper import ink_of
from digits.handwriting.parts import drawings, oddity
from digits.handwriting.sheet import Found, Row
from digits.pictures.fitting import fitted
from digits.pictures.opening import has_picture_suffix, opened

MODEL = Path("models/model.onnx")
LONGEST = 4096  # characters of a path that are shown: none is cut
LARGEST = 200_000_000  # bytes of a picture file
SURE, SURE_OF_CLASS = 0.97, 0.5  # probabilities below which the network is unsure
SEVERAL = "several things are drawn"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        prog="python -m digits.predict",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="One digit a picture, of any size and colour. Specks, ruled lines and edges are "
        "left out. A note says if several things are drawn, if what is drawn does not look like a "
        "digit, or if the network is unsure. A model of your own pictures tells the class of each.",
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a picture, a folder of pictures, or - for stdin"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON list instead of a table; a picture that cannot be read has an error",
    )
    parser.add_argument(
        "--many", action="store_true", help="read every digit of a picture, from left to right"
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="PNG", help="also draw what was seen into this picture"
    )
    parser.add_argument(
        "--model", type=Path, default=MODEL, help="an ONNX file of the export stage (%(default)s)"
    )
    return parser.parse_args()


def pictures_in(folder: Path) -> list[str]:
    """The regular files of a folder with the extension of a picture, sorted.

    Raises:
        UserError: there are none.
    """
    paths = [path for path in folder.iterdir() if has_picture_suffix(path.name) and path.is_file()]
    if not paths:
        raise UserError("no pictures in this folder; its sub folders are not searched")
    return [str(path) for path in sorted(paths)]


def content_of(name: str) -> bytes:
    """The bytes of a regular file, or of stdin.

    Raises:
        UserError: too many bytes, or not a regular file, which could be endless.
        OSError: no such file, or it may not be read.
    """
    if name != "-" and not stat.S_ISREG(os.stat(name).st_mode):
        raise UserError("not a regular file")
    with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UserError(f"too large: at most {LARGEST:,} bytes are read")
    return content


def whole_picture(name: str, shape: DataShape) -> Found:
    """A picture in the form that a network of pictures reads.

    Raises:
        UserError: not a picture, damaged or too large.
        OSError: see content_of().
    """
    with opened(content_of(name)) as picture:
        image = fitted(picture, shape.size, shape.channels, shape.fit or "pad")
    return Found({"image": name, "note": ""}, sheet.thumbnail(image), image, False)


def found_in(name: str, many: bool) -> Iterator[Found]:
    """What is drawn in a picture: a row for every page, or for every digit of it.

    Raises:
        UserError: not a picture, damaged, too large, or blank.
        OSError: see content_of().
    """
    for page, grey in picture_file.pages(content_of(name)):
        small = sheet.thumbnail(np.rint(255 * grey).astype(np.uint8))
        shown: Row = {"image": name, "page": page} if page else {"image": name}
        try:
            first, *others = drawings(*ink_of(grey))
        except UserError as error:
            yield Found({**shown, "error": str(error)}, small)
            continue
        chosen = sorted([first, *others], key=lambda each: each.box.left) if many else [first]
        for place, drawing in enumerate(chosen, 1):
            note = oddity(drawing) or (SEVERAL if others and not many else "")
            row: Row = {**shown, "note": note}
            if many:
                row["place"] = place
            yield Found(row, small, mnist_form(drawing.ink))


def classified(model: Session, found: Found) -> Found:
    """The same with the digit, its probability and the runner-up, unless there is an error."""
    if found.image is None:
        return found
    (probabilities,) = model.classify(found.image[np.newaxis])[1]
    first, second = (int(place) for place in np.argsort(-probabilities, kind="stable")[:2])
    classes = model.shape.classes
    kind, sure, names = ("digit", SURE, range(10))
    if classes != DIGITS:
        kind, sure, names = ("class", SURE_OF_CLASS, [one_line(name) for name in classes])
    row = dict(found.row)
    note = row.pop("note")
    row |= {
        kind: names[first],
        "probability": round(float(probabilities[first]), 6),
        "runner_up": names[second],
        "runner_up_probability": round(float(probabilities[second]), 6),
        "note": note or ("unsure" if probabilities[first] < sure else ""),
    }
    return replace(found, row=row)


def read(model: Session, name: str, many: bool) -> list[Found]:
    """All that is found in a picture or folder; what cannot be read has an error, and is named."""
    try:
        if name != "-" and Path(name).is_dir():
            return [each for path in pictures_in(Path(name)) for each in read(model, path, many)]
        is_drawn = model.shape.is_drawn
        every = found_in(name, many) if is_drawn else [whole_picture(name, model.shape)]
        results = [classified(model, found) for found in every]
    except (UserError, OSError) as error:
        problem = (isinstance(error, OSError) and error.strerror) or str(error)
        results = [Found({"image": name, "error": problem})]
    for each in results:
        if "error" in each.row:
            print(f"error: {shown_name(each.row)}: {each.row['error']}", file=sys.stderr)
    return results


def shown_name(row: Row) -> str:
    """The picture's name, and which page of it."""
    name = one_line(str(row["image"]), LONGEST)
    return f"{name}, page {row['page']}" if "page" in row else name


def table(rows: list[Row]) -> str:
    """The rows as lines of text, in columns."""
    kind = "digit" if "digit" in rows[0] else "class"
    lines = [["image", kind, "probability", "runner-up", "probability", ""]]
    for row in rows:
        first, second = 100 * float(row["probability"]), 100 * float(row["runner_up_probability"])
        shown = [shown_name(row), str(row[kind]), f"{first:.2f} %", str(row["runner_up"])]
        lines.append([*shown, f"{second:.2f} %", str(row["note"])])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([
            line[0].ljust(widths[0]), *map(str.rjust, line[1:5], widths[1:5]), line[5]
        ]).rstrip()
        for line in lines
    )  # fmt: skip


def main() -> None:
    options = arguments()
    if isinstance(sys.stdout, io.TextIOWrapper):  # the terminal may lack a name's characters
        sys.stdout.reconfigure(errors="backslashreplace")
    model = onnx_session.load(options.model)
    if options.many and not model.shape.is_drawn:
        raise UserError(f"--many: {options.model} tells the class of a whole picture")
    results = [found for name in options.images for found in read(model, name, options.many)]
    readable = [found.row for found in results if "error" not in found.row]
    if options.sheet:
        files.write(options.sheet, sheet.draw(results))
    if options.json:
        print(json.dumps([found.row for found in results], indent=2))
    elif readable:
        print(table(readable))
    if len(readable) < len(results):
        sys.exit(1)


if __name__ == "__main__":
    exit_with(main)
