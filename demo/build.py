"""Put the page together: `python -m demo.build`.

Reads models/model.safetensors, data/prepared/test.safetensors and the temperature of
metrics/train.json. Writes demo/site/, which any server of plain files can publish: a page to draw
on, or one to show pictures to, as the model reads them; the network; examples of the test split.
"""

import base64
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from demo import PAGE, SITE
from digits.core import files, split
from digits.core.data_shape import DIGITS, DataShape
from digits.core.errors import UserError, exit_with
from digits.core.split import Normalisation
from digits.export.onnx_file import operations_of
from digits.network import model_file
from digits.network.digitnet import DigitNet
from digits.predict import SURE, SURE_OF_CLASS
from stages import paths

MOST_EXAMPLES = 30  # classes in each row of examples; of pictures of 64x64, 1 MB in all


def encode(
    network: DigitNet, normalisation: Normalisation, temperature: float = 1.0
) -> dict[str, object]:
    """The network as demo/network.js runs it: plain operations, BatchNorm folded in; and its shape.

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
                f"among OPERATORS ({', '.join(known)}); add it there"
            )
        operation: dict[str, object] = {"operator": step.operator, "relu": step.relu}
        operation |= step.attributes
        if step.weights is not None and step.bias is not None:
            operation |= {"weights": _base64(step.weights), "bias": _base64(step.bias)}
        operations.append(operation)
    shape = network.shape
    return {
        **asdict(shape),
        "fit": shape.fit or "pad",
        "sure": SURE if shape.classes == DIGITS else SURE_OF_CLASS,
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
    labels: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.float32],
) -> list[dict[str, object]]:
    """Of each class the first image, and the one that the network thinks least likely to be it.

    Of more than MOST_EXAMPLES classes, those with the hardest images are shown.

    Args:
        images: uint8 `(N, size, size)`, or `(N, size, size, 3)` in colour.
        labels: what they are `(N,)`.
        probabilities: what the network says, `(N, classes)`.
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    hardest = [int(each[of_label[each].argmin()]) for each in places]
    shown = sorted(np.argsort(of_label[hardest], kind="stable")[:MOST_EXAMPLES])
    return [
        {
            "name": name,
            "images": [
                {"label": int(labels[place]), "pixels": _base64(images[place])} for place in row
            ],
        }
        for name, row in (
            ("The first of each in the test set", [int(places[each][0]) for each in shown]),
            ("The hardest of each for this network", [hardest[each] for each in shown]),
        )
    ]


def page_for(shape: DataShape) -> tuple[str, Sequence[Path]]:
    """The page for a network's images, and the files that it names."""
    name, title = "index.html", "Draw a digit" if shape.classes == DIGITS else "Draw an image"
    if not shape.is_drawn:
        name, title = "pictures.html", "Show a picture"
    page = (PAGE / name).read_text().replace("{title}", title)
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    return page, [PAGE / name for name in named]


def build(model: Path, test: Path, site: Path, temperature: float = 1.0) -> None:
    """Write the page for a model file, with examples of a test split.

    Raises:
        UserError: one of the two files is missing or damaged, or the page cannot run the network.
    """
    network, normalisation = model_file.load(model)
    shown = split.load(test)
    model_file.check_shape(model, network, shown)
    written = encode(network, normalisation, temperature)
    logits = model_file.classify(network, shown.images, normalisation)
    probabilities = logits.softmax(1).numpy()
    offered = examples(shown.images.numpy(), shown.labels.numpy(), probabilities)

    page, parts = page_for(network.shape)

    shutil.rmtree(site, ignore_errors=True)
    files.write(site / "index.html", page.encode())
    for path in parts:
        files.write(site / path.name, path.read_bytes())
    files.write(site / "network.json", json.dumps(written).encode())
    files.write(site / "examples.json", json.dumps(offered).encode())


def main() -> None:
    metrics = files.read_metrics(paths.TRAIN_METRICS)
    build(paths.MODEL, paths.TEST, SITE, metrics["temperature"])


if __name__ == "__main__":
    exit_with(main)
