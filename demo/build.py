"""Put the page together: `python -m demo.build`.

Reads models/model.safetensors, data/prepared/test.safetensors and the temperature of
metrics/train.json. Writes demo/site/, which any server of plain files can publish: the page, the
network, and examples of the test split.
"""

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from demo import PAGE, SITE
from digits.core import files, split
from digits.core.errors import UserError, exit_with
from digits.core.split import Normalisation
from digits.export.onnx_file import operations_of
from digits.network import model_file
from digits.network.digitnet import DigitNet
from stages import paths

PARTS = ("*.html", "*.css", "*.js", "*.svg")


def encode(
    network: DigitNet, normalisation: Normalisation, temperature: float = 1.0
) -> dict[str, object]:
    """The network as demo/network.js runs it: plain operations, BatchNorm folded in.

    Weights are float32, little-endian, in base64. Logits are divided by the temperature before the
    softmax.

    Raises:
        UserError: the network has an operation that demo/network.js lacks.
    """
    known = re.findall(r"^  ([A-Z]\w+)[(:]", (PAGE / "network.js").read_text(), re.MULTILINE)
    operations = list[dict[str, object]]()
    for step in operations_of(network):
        if step.operator not in known:
            raise UserError(
                f"demo/network.js: the network has the operation {step.operator}, which is not "
                f"among OPERATIONS ({', '.join(known)}); add it there"
            )
        operation: dict[str, object] = {"operator": step.operator, "relu": step.relu}
        operation |= step.attributes
        if step.weights is not None and step.bias is not None:
            operation |= {"weights": _base64(step.weights), "bias": _base64(step.bias)}
        operations.append(operation)
    return {
        "mean": normalisation.mean,
        "std": normalisation.std,
        "temperature": temperature,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "operations": operations,
    }


def _base64(values: npt.NDArray[np.float32] | npt.NDArray[np.uint8]) -> str:
    little_endian = values.astype(values.dtype.newbyteorder("<"))
    return base64.b64encode(little_endian.tobytes()).decode()


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
                {"label": int(labels[place]), "pixels": _base64(images[place])} for place in places
            ],
        }
        for name, places in (
            ("The first of each in the test set", first),
            ("The hardest of each for this network", hardest),
        )
    ]


def build(model: Path, test: Path, site: Path, temperature: float = 1.0) -> None:
    """Write the page for a model file, with examples of a test split.

    Raises:
        UserError: one of the two files is missing or damaged, or the page cannot run the network.
    """
    network, normalisation = model_file.load(model)
    shown = split.load(test)
    written = encode(network, normalisation, temperature)
    logits = model_file.classify(network, shown.images, normalisation)
    probabilities = logits.softmax(1).numpy()
    offered = examples(shown.images.numpy(), shown.labels.numpy(), probabilities)

    shutil.rmtree(site, ignore_errors=True)
    for path in [path for pattern in PARTS for path in PAGE.glob(pattern)]:
        files.write(site / path.name, path.read_bytes())
    files.write(site / "network.json", json.dumps(written).encode())
    files.write(site / "examples.json", json.dumps(offered).encode())


def main() -> None:
    metrics = files.read_metrics(paths.TRAIN_METRICS)
    build(paths.MODEL, paths.TEST, SITE, metrics["temperature"])


if __name__ == "__main__":
    exit_with(main)
