"""Read the digits in pictures: `python -m stages.predict IMAGE...`.

Reads models/model.onnx, without torch, and the pictures; prints a table, or JSON. No stage of
dvc.yaml. Of a folder, the files that are called as pictures are; its other files and its sub
folders are passed over. A picture that cannot be read is named on stderr, the others are read all
the same, and the exit code is 1.
"""

import argparse
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from stages.lib import runtime
from stages.lib.errors import UserError, exit_with, one_line
from stages.lib.handwriting import as_mnist

MODEL = Path("models/model.onnx")
LONGEST = 4096  # letters of a path that are shown: none is cut

Row = dict[str, str | int | float]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        prog="python -m stages.predict",
        epilog="One digit a picture, of any size and colour, with some paper around it and nothing "
        "else on it; light may fall off evenly, but keep deep shadows off it.",
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a picture, a folder of pictures, or - for stdin"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON list, not a table; what cannot be read is in it, with an error",
    )
    parser.add_argument(
        "--model", type=Path, default=MODEL, help="an ONNX file of the export stage (%(default)s)"
    )
    return parser.parse_args()


def pictures(folder: Path) -> list[str]:
    """The files of a folder that are called as Pillow knows pictures to be, sorted.

    Raises:
        UserError: there are none.
    """
    kinds = Image.registered_extensions()
    found = [
        path
        for path in folder.iterdir()
        if kinds.get(path.suffix.lower()) in Image.OPEN and not path.is_dir()
    ]
    if not found:
        raise UserError("no pictures in this folder; its sub folders are not looked into")
    return [str(path) for path in sorted(found)]


def shaped(content: bytes) -> npt.NDArray[np.uint8]:
    """The digit of a picture file in MNIST's form, uint8 `(28, 28)`.

    Raises:
        UserError: not a picture, damaged, too large, or blank.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on pictures that it can read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as picture:
                return as_mnist(picture)
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError("not a picture in a form that Pillow reads") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"too large: {one_line(str(error))}") from None
    except Exception as error:  # Pillow's own for damaged files have no common class
        problem = one_line(str(error)) or type(error).__name__
        raise UserError(f"cannot be read as a picture: {problem}") from None


def read(reader: runtime.Reader, name: str) -> Row:
    """The digit in one picture, and the next likely one.

    Raises:
        UserError: see shaped().
        OSError: no such file, or it may not be read.
    """
    content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    (probabilities,) = reader(shaped(content)[np.newaxis])[1]
    digit, second = (int(place) for place in np.argsort(-probabilities, kind="stable")[:2])
    return {
        "image": name,
        "digit": digit,
        "probability": round(float(probabilities[digit]), 6),
        "runner_up": second,
        "runner_up_probability": round(float(probabilities[second]), 6),
    }


def look(reader: runtime.Reader, name: str) -> list[Row]:
    """A row for a picture, or for each of a folder; for what cannot be read, one that says why."""
    try:
        if name != "-" and Path(name).is_dir():
            return [row for inside in pictures(Path(name)) for row in look(reader, inside)]
        return [read(reader, name)]
    except (UserError, OSError) as error:
        problem = (isinstance(error, OSError) and error.strerror) or str(error)
        print(f"error: {one_line(name, LONGEST)}: {problem}", file=sys.stderr)
        return [{"image": name, "error": problem}]


def table(rows: list[Row]) -> str:
    """The rows as lines of text, under each other."""
    names = [one_line(str(row["image"]), LONGEST) for row in rows]
    width = max(map(len, names))
    lines = [f"{'image':{width}}  digit  probability  runner-up  probability"]
    for name, row in zip(names, rows, strict=True):
        likely, less = 100 * float(row["probability"]), 100 * float(row["runner_up_probability"])
        lines.append(
            f"{name:{width}}  {row['digit']:>5}  {likely:>9.2f} %"
            f"  {row['runner_up']:>9}  {less:>9.2f} %"
        )
    return "\n".join(lines)


def main() -> None:
    chosen = arguments()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may have letters that the terminal lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    reader = runtime.load(chosen.model)
    rows = [row for name in chosen.images for row in look(reader, name)]
    seen = [row for row in rows if "error" not in row]
    if chosen.json:
        print(json.dumps(rows, indent=2))
    elif seen:
        print(table(seen))
    if len(seen) < len(rows):
        sys.exit(1)


if __name__ == "__main__":
    exit_with(main)
