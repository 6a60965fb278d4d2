"""An ONNX file of the export stage, ready to classify images; needs onnxruntime and no torch."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import, which would start reporting home
import onnxruntime

from digits.core.data_shape import DataShape
from digits.core.errors import UserError

BATCH = 200  # images; more takes memory and saves no time
TRAILER_SIZE = 64  # hexadecimal digits


class Session:
    """Classifies images on one thread. `shape` says what they are, and names the classes."""

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        described = self._session.get_modelmeta().custom_metadata_map.get("shape", "{}")
        values = json.loads(described)
        self.shape = DataShape(**values | {"classes": tuple(values["classes"])} if values else {})

    def classify(
        self, images: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Logits and probabilities, float32 `(N, classes)` each, of raw images uint8."""
        parts = [
            self._session.run(
                ["logits", "probabilities"], {"images": images[start : start + BATCH]}
            )
            for start in range(0, max(len(images), 1), BATCH)
        ]
        logits, probabilities = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return logits, probabilities


def trailer(content: bytes) -> bytes:
    """The SHA-256 trailer of an exported file: a digest of everything before it."""
    return hashlib.sha256(content[:-TRAILER_SIZE]).hexdigest().encode()


def load(path: Path) -> Session:
    """Open an ONNX file that the export stage wrote.

    Raises:
        UserError: no such file, not an exported file, or damaged.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `make repro` makes it") from None
    if path.suffix == ".safetensors":
        raise UserError(
            f"{path}: the model for PyTorch; this wants the ONNX file, models/model.onnx"
        )
    if not content.endswith(trailer(content)):
        raise UserError(
            f"{path}: not a whole ONNX file of the export stage: it does not end with the sha256 "
            "of the rest; delete it, and `dvc repro` makes it again"
        )
    try:
        return Session(content)
    except Exception as error:  # onnxruntime's errors have no common class
        problem = str(error).splitlines()[0]
        raise UserError(f"{path}: not a whole ONNX file: {problem}") from None
