"""Read the digits in pictures: `python -m stages.predict IMAGE...`.

Reads models/model.onnx, without torch, and the pictures; prints a table, or JSON. No stage of
dvc.yaml. A picture that cannot be read is named on stderr, the others are read all the same, and
the exit code is 1.
"""

import argparse
import io
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from stages.lib import runtime
from stages.lib.errors import UserError, exit_with
from stages.lib.handwriting import as_mnist

MODEL = Path("models/model.onnx")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

Row = dict[str, str | int | float]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        prog="python -m stages.predict",
        epilog="One digit a picture, of any size and colour, with some paper around it.",
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a picture, a folder of pictures, or - for stdin"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list, not a table")
    parser.add_argument(
        "--model", type=Path, default=MODEL, help="an ONNX file of the export stage (%(default)s)"
    )
    return parser.parse_args()


def pictures(name: str) -> Iterator[str]:
    """The picture itself, or the pictures of a folder, sorted."""
    if name == "-" or not Path(name).is_dir():
        yield name
        return
    found = sorted(path for path in Path(name).iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UserError(f"{name}: no pictures in this folder ({', '.join(sorted(SUFFIXES))})")
    yield from map(str, found)


def read(reader: runtime.Reader, name: str) -> Row:
    """The digit in one picture, and the next likely one.

    Raises:
        UserError: no such file, not a picture, too large, or blank.
    """
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on pictures that it can read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as picture:
                image = as_mnist(picture)
    except UnidentifiedImageError:
        raise UserError(f"{name}: not a picture in a form that Pillow reads") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{name}: too large: {error}") from None
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or f'not a whole picture: {error}'}") from None
    except (SyntaxError, ValueError, EOFError) as error:  # Pillow's words for damaged files
        raise UserError(f"{name}: not a whole picture: {error}") from None
    (probabilities,) = reader(image[np.newaxis])[1]
    digit, second = (int(place) for place in np.argsort(-probabilities, kind="stable")[:2])
    return {
        "image": name,
        "digit": digit,
        "probability": round(float(probabilities[digit]), 6),
        "runner_up": second,
        "runner_up_probability": round(float(probabilities[second]), 6),
    }


def table(rows: list[Row]) -> str:
    """The rows as lines of text, under each other."""
    width = max(len(str(row["image"])) for row in rows)
    lines = [f"{'image':{width}}  digit  probability  runner-up  probability"]
    for row in rows:
        likely, less = 100 * float(row["probability"]), 100 * float(row["runner_up_probability"])
        lines.append(
            f"{row['image']:{width}}  {row['digit']:>5}  {likely:>9.2f} %"
            f"  {row['runner_up']:>9}  {less:>9.2f} %"
        )
    return "\n".join(lines)


def main() -> None:
    chosen = arguments()
    reader = runtime.load(chosen.model)
    rows: list[Row] = []
    failed = False
    for given in chosen.images:
        try:
            names = [*pictures(given)]
        except (UserError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            names, failed = [], True
        for name in names:
            try:
                rows.append(read(reader, name))
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
                failed = True
    if chosen.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print(table(rows))
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    exit_with(main)
