"""Put the page together: `python -m demo.build`.

Reads models/model.onnx and data/prepared/test.safetensors. Writes demo/site/, which any server
of plain files can serve: the page, the network, examples of the test set, and ONNX Runtime Web,
which npm installs into demo/node_modules as demo/package-lock.json says.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from demo import PAGE, SITE
from digits.core import files, split
from digits.core.errors import UserError, exit_with
from digits.export import onnx_session
from stages import paths

RUNTIME = PAGE / "node_modules/onnxruntime-web/dist"

PARTS = ("*.html", "*.css", "*.js", "*.svg")
RUNTIME_PARTS = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def install() -> None:
    """Have npm install what the lock says, unless it is there already.

    Raises:
        UserError: node or npm is missing, or npm fails.
    """
    locked = hashlib.sha256((PAGE / "package-lock.json").read_bytes()).hexdigest()
    installed = PAGE / "node_modules/installed"
    if installed.is_file() and installed.read_text() == locked:
        return
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise UserError(
                f"{program}: not found; it installs what runs the network in a browser "
                "(on Debian and Ubuntu: apt-get install npm)"
            )
    print("installing demo/package-lock.json into demo/node_modules", file=sys.stderr)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=PAGE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise UserError(f"npm ci failed in demo/:\n{done.stdout.strip()}")
    files.write(installed, locked.encode())


def examples(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.float32],
) -> list[dict[str, object]]:
    """Of each digit the first image, and the one that the network thinks least likely to be it.

    Args:
        images: uint8 `(N, 28, 28)`.
        labels: what they are, uint8 `(N,)`.
        probabilities: what the network says, `(N, 10)`.
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    first, hardest = list[int](), list[int]()
    for digit in np.unique(labels):
        (places,) = np.nonzero(labels == digit)
        first.append(int(places[0]))
        hardest.append(int(places[of_label[places].argmin()]))
    return [
        {
            "name": name,
            "digits": [
                {
                    "label": int(labels[place]),
                    "pixels": base64.b64encode(images[place].tobytes()).decode(),
                }
                for place in places
            ],
        }
        for name, places in (
            ("The first of each in the test set", first),
            ("The hardest of each for this network", hardest),
        )
    ]


def build(network: Path, test: Path, site: Path) -> None:
    """Write the page for an ONNX file of the export stage, with examples of a test split.

    Raises:
        UserError: one of the two files is missing or damaged, or ONNX Runtime Web cannot be had.
    """
    model = onnx_session.load(network)
    shown = split.load(test)
    install()
    images, labels = shown.images.numpy(), shown.labels.numpy()
    offered = examples(images, labels, model.classify(images)[1])

    shutil.rmtree(site, ignore_errors=True)
    parts = [path for pattern in PARTS for path in PAGE.glob(pattern)]
    for path in (*parts, *(RUNTIME / name for name in RUNTIME_PARTS)):
        files.write(site / path.name, path.read_bytes())
    files.write(site / "model.onnx", network.read_bytes())
    files.write(site / "examples.json", json.dumps(offered).encode())


def main() -> None:
    build(paths.ONNX, paths.TEST, SITE)


if __name__ == "__main__":
    exit_with(main)
