"""Read the digits in pictures: `python -m digits.predict IMAGE...`.

Reads models/model.onnx, without torch, and the pictures; prints a table, or JSON. In a folder,
every file with an image extension is read, and sub folders are skipped. A picture that cannot be
read is named on stderr, the others are still read, and the exit code is 1.
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

from digits.core.errors import UserError, exit_with, one_line
from digits.export import onnx_session
from digits.export.mnist_form import as_mnist
from digits.export.onnx_session import Session

MODEL = Path("models/model.onnx")
LONGEST = 4096  # characters of a path that are shown: none is cut

Row = dict[str, str | int | float]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        prog="python -m digits.predict",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="One digit a picture, of any size and colour, with some paper around it and nothing "
        "else on it; light may fall off evenly, but keep deep shadows off it.",
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
        "--model", type=Path, default=MODEL, help="an ONNX file of the export stage (%(default)s)"
    )
    return parser.parse_args()


def pictures_in(folder: Path) -> list[str]:
    """The files of a folder with an extension of a format that Pillow reads, sorted.

    Raises:
        UserError: there are none.
    """
    formats = Image.registered_extensions()
    paths = [
        path
        for path in folder.iterdir()
        if formats.get(path.suffix.lower()) in Image.OPEN and not path.is_dir()
    ]
    if not paths:
        raise UserError("no pictures in this folder; its sub folders are not searched")
    return [str(path) for path in sorted(paths)]


def mnist_image(content: bytes) -> npt.NDArray[np.uint8]:
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
        raise UserError("not a picture in a format that Pillow reads") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"too large: {one_line(str(error))}") from None
    except Exception as error:  # Pillow's errors for damaged files have no common class
        problem = one_line(str(error)) or type(error).__name__
        raise UserError(f"cannot be read as a picture: {problem}") from None


def classify(model: Session, name: str) -> Row:
    """The digit in one picture, and the runner-up.

    Raises:
        UserError: see mnist_image().
        OSError: no such file, or it may not be read.
    """
    content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    (probabilities,) = model.classify(mnist_image(content)[np.newaxis])[1]
    digit, second = (int(place) for place in np.argsort(-probabilities, kind="stable")[:2])
    return {
        "image": name,
        "digit": digit,
        "probability": round(float(probabilities[digit]), 6),
        "runner_up": second,
        "runner_up_probability": round(float(probabilities[second]), 6),
    }


def rows_of(model: Session, name: str) -> list[Row]:
    """A row for a picture, or for each in a folder; where one cannot be read, it has an error."""
    try:
        if name != "-" and Path(name).is_dir():
            return [row for path in pictures_in(Path(name)) for row in rows_of(model, path)]
        return [classify(model, name)]
    except (UserError, OSError) as error:
        problem = (isinstance(error, OSError) and error.strerror) or str(error)
        print(f"error: {one_line(name, LONGEST)}: {problem}", file=sys.stderr)
        return [{"image": name, "error": problem}]


def table(rows: list[Row]) -> str:
    """The rows as lines of text, in columns."""
    names = [one_line(str(row["image"]), LONGEST) for row in rows]
    width = max(map(len, names))
    lines = [f"{'image':{width}}  digit  probability  runner-up  probability"]
    for name, row in zip(names, rows, strict=True):
        first, second = 100 * float(row["probability"]), 100 * float(row["runner_up_probability"])
        lines.append(
            f"{name:{width}}  {row['digit']:>5}  {first:>9.2f} %"
            f"  {row['runner_up']:>9}  {second:>9.2f} %"
        )
    return "\n".join(lines)


def main() -> None:
    options = arguments()
    if isinstance(sys.stdout, io.TextIOWrapper):  # the terminal may lack a name's characters
        sys.stdout.reconfigure(errors="backslashreplace")
    model = onnx_session.load(options.model)
    rows = [row for name in options.images for row in rows_of(model, name)]
    readable = [row for row in rows if "error" not in row]
    if options.json:
        print(json.dumps(rows, indent=2))
    elif readable:
        print(table(readable))
    if len(readable) < len(rows):
        sys.exit(1)


if __name__ == "__main__":
    exit_with(main)
