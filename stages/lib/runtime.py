"""Digits read by an ONNX file; needs onnxruntime and no torch."""

import hashlib
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import, which would begin to report home
import onnxruntime

from stages.lib.errors import UserError

BATCH = 200  # more takes memory and saves no time
DIGEST_SIZE = 64  # hexadecimal digits


class Reader:
    """An ONNX file that is ready to read digits, on one thread."""

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )

    def __call__(
        self, images: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Logits and probabilities, float32 `(N, 10)` each, of images uint8 `(N, 28, 28)`."""
        parts = [
            self._session.run(
                ["logits", "probabilities"], {"images": images[start : start + BATCH]}
            )
            for start in range(0, max(len(images), 1), BATCH)
        ]
        logits, probabilities = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return logits, probabilities


def digest(content: bytes) -> bytes:
    """How a file of the export stage ends: on the sha256 of all that stands before it."""
    return hashlib.sha256(content[:-DIGEST_SIZE]).hexdigest().encode()


def load(path: Path) -> Reader:
    """Read an ONNX file that the export stage wrote.

    Raises:
        UserError: no such file, not such a file, or damaged.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `make repro` makes it") from None
    if not content.endswith(digest(content)):
        raise UserError(
            f"{path}: not a whole ONNX file of the export stage: it does not end on the sha256 of "
            "the rest; delete it, and `dvc repro` remakes it"
        )
    try:
        return Reader(content)
    except Exception as error:  # onnxruntime's own have no common class
        problem = str(error).splitlines()[0]
        raise UserError(f"{path}: not a whole ONNX file: {problem}") from None
