"""Write the table of docs/pictures.md: how many pictures of each kind are read right.

Reads models/model.onnx, data/prepared/test.safetensors and scikit-learn's digits of 8x8. Draws 400
test digits, or as many as `--count` says, as each kind of kinds.py; as the first kind, all 10,000.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from digits.core import files, split
from digits.core.errors import exit_with
from digits.export import onnx_session
from stages import paths
from tools.examination import ways
from tools.examination.kinds import KINDS

PAGE = Path("docs/pictures.md")
BEGIN, END = "<!-- begin: python -m tools.examination -->\n", "<!-- end -->"
EIGHT = "scikit-learn's 1,797 digits, 8x8"
FIRST = next(iter(KINDS))
FEW = 20  # of the kinds that take long
COLUMNS = ["kind", "pictures", "ours, %", "refused, %", "Otsu's threshold, %", "resized only, %"]


def row(
    kind: str,
    forms: Sequence[Sequence[ways.Form]],
    labels: npt.NDArray[np.uint8],
    model: onnx_session.Session,
) -> str:
    """A line of the table."""
    refused = np.mean([not ours.any() for ours, *_ in forms])
    shares = [
        np.mean(model.classify(np.stack(way))[1].argmax(1) == labels)
        for way in zip(*forms, strict=True)
    ]
    ours, *others = (f"{100 * share:.1f}" for share in shares)
    cells = [kind, f"{len(labels):,}", f"**{ours}**", f"{100 * refused:.1f}", *others]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400, help="digits of each kind (%(default)s)")
    count = parser.parse_args().count
    model = onnx_session.load(paths.ONNX)
    test = split.load(paths.TEST)
    images, labels = test.images.numpy(), test.labels.numpy()
    eight, digits_of_eight = load_digits(return_X_y=True)

    lines = [f"| {' | '.join(COLUMNS)} |", f"| --- |{' --: |' * (len(COLUMNS) - 1)}"]
    with Pool() as pool:
        for kind in [*KINDS, EIGHT]:
            chosen = images[: len(images) if kind == FIRST else FEW if "strip" in kind else count]
            right = labels[: len(chosen)]
            if kind == EIGHT:
                chosen = (255 - np.asarray(eight).reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
                right = np.asarray(digits_of_eight)
            forms = pool.map(partial(ways.forms_of, kind), enumerate(chosen), chunksize=20)
            lines.append(row(kind, forms, right, model))
            print(lines[-1], flush=True)

    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    table = "\n".join(lines)
    files.write(PAGE, f"{before}{BEGIN}\n{table}\n\n{END}{after}".encode())


if __name__ == "__main__":
    exit_with(main)
