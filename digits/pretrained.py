"""A trained network for other programs: `from digits import load`.

It comes from a model file, or from a folder laid out as a repository of the Hugging Face Hub, with
config.json and model.safetensors right at its root. Nothing is fetched, and no file is trusted.
This needs torch, safetensors and numpy, and nothing else of what the pipeline needs.
"""

import hashlib
import json
import re
import reprlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from digits.core import files, tensor_file
from digits.core.data_shape import normalise
from digits.core.errors import UserError, one_line
from digits.network import header
from digits.network.digitnet import DigitNet
from digits.network.header import Header
from digits.network.inference import classify, rebuild

MODEL, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
BESIDE = (CARD, "model.onnx", "model.int8.onnx")  # what else describes or is the same network
AGAIN = "get it again from where it came from"
MAX_CONFIG_BYTES = 2**20


class Classifier:
    """A trained network with all that it takes to use it.

    network: in evaluation mode. header: of its model file. source: the file it was loaded from.
    """

    def __init__(self, network: DigitNet, header: Header, source: Path) -> None:
        self.network, self.header, self.source = network, header, source

    def __call__(self, images: torch.Tensor | npt.NDArray[np.uint8]) -> torch.Tensor:
        """Logits float32 `(N, classes)` of raw images uint8, not normalised.

        Images are `(N, H, W)` if the network reads grey ones, otherwise `(N, H, W, 3)`.

        Raises:
            ValueError: images of another type or shape.
        """
        images = torch.as_tensor(images)
        expected = self.network.shape.images(0)[1:]
        if images.dtype != torch.uint8 or images.shape[1:] != expected or not images.ndim:
            raise ValueError(
                f"images are {images.dtype} of shape {tuple(images.shape)}, expected torch.uint8 "
                f"of shape (N, {', '.join(map(str, expected))}), 0 to 255, not normalised"
            )
        mean, std = self.header.mean, self.header.std
        device = next(self.network.parameters()).device
        return classify(self.network, images.to(device), partial(normalise, mean=mean, std=std))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self.network.shape.classes

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        return self.header.config()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "Classifier":
        """The network of a folder laid out as a repository of the Hub; its other files are ignored.

        Raises:
            UserError: config.json or model.safetensors is missing or damaged, or they do not
                belong together.
            OSError: a file may not be read.
        """
        written = _read_config(Path(folder, CONFIG))
        model = _from_file(Path(folder, MODEL))
        for key, value in model.config.items():
            if written.get(key) != value:
                shown, expected = map(_shown, (written.get(key), value))
                raise UserError(
                    f"{Path(folder, CONFIG)}: {key} is {shown}, but {MODEL} beside it says "
                    f"{expected}; {AGAIN}"
                )
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that `from_pretrained` loads and that the Hub takes as it is.

        The network's own file gives the same bytes again. If the network is still the one that was
        loaded, the model card and the ONNX files that lie beside its file are copied too.

        Raises:
            UserError: the model card beside it describes another model.
            OSError: the disk is full, or the folder not writable.
        """
        content = tensor_file.encoded(self.network.state_dict(), self.header.text)
        copies: dict[str, bytes] = {}
        if self.source.is_file() and self.source.read_bytes() == content:
            present = (self.source.with_name(name) for name in BESIDE)
            copies = {path.name: path.read_bytes() for path in present if path.is_file()}
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        described = re.search(rb"md5 `([0-9a-f]{32})`", copies.get(CARD, b""))
        if described and described[1].decode() != md5:
            raise UserError(
                f"{self.source.with_name(CARD)}: describes a model of md5 {described[1].decode()}, "
                f"but {self.source} has {md5}; run `dvc repro`"
            )
        config = json.dumps(self.config, indent=2, ensure_ascii=False) + "\n"
        for name, data in {**copies, CONFIG: config.encode(), MODEL: content}.items():
            files.write(Path(folder, name), data)


def load(path: str | Path) -> Classifier:
    """The network of a model file, or of a folder laid out as a repository of the Hub.

    Raises:
        UserError: no such file, not a model, or damaged.
        OSError: it may not be read.
    """
    return Classifier.from_pretrained(path) if Path(path).is_dir() else _from_file(Path(path))


def _from_file(path: Path) -> Classifier:
    _check_is_file(path)
    weights, text = tensor_file.read(path, AGAIN)
    parsed = header.parse(path, text)
    return Classifier(
        rebuild(path, parsed.architecture, weights, parsed.shape, AGAIN), parsed, path
    )


def _check_is_file(path: Path) -> None:
    """A pipe would be waited for, and a folder's name of the Hub is often given in its place."""
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; nothing is fetched from the Hub: `hf download USER/NAME "
            "--local-dir FOLDER` does that"
        )


def _shown(value: object) -> str:
    return one_line(reprlib.repr(value))


def _read_config(path: Path) -> Mapping[str, object]:
    """The object in a config.json.

    Raises:
        UserError: there is none.
    """
    _check_is_file(path)
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(MAX_CONFIG_BYTES))
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not JSON; {AGAIN}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object; {AGAIN}")
    return content  # pyright: ignore[reportUnknownVariableType]
