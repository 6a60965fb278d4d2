"""The header of a model file, checked without pydantic, which whoever only loads a model may lack.

The rules are those of core/config.py and of model_file.ModelHeader;
tests/unit/network/test_header.py compares the two.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.core.data_shape import MNIST, DataShape
from digits.core.tensor_file import HeaderError


@dataclass(frozen=True)
class Architecture:
    """What blocks.py makes a network of."""

    blocks: list[int | str]
    bias_free: bool = False
    hidden: int | None = None
    dropout: float = 0

    def __post_init__(self) -> None:
        _check(type(self.blocks) is list and 1 <= len(self.blocks) <= 32)
        _check(all(isinstance(each, str) or _whole(each, 1024) for each in self.blocks))
        _check(type(self.bias_free) is bool)
        _check(self.hidden is None or _whole(self.hidden, 4096))
        _check(_number(self.dropout) and 0 <= self.dropout < 1)


@dataclass(frozen=True)
class Header:
    """What a model file says of its network; `text` is all of it, as JSON."""

    text: str
    architecture: Architecture
    shape: DataShape
    mean: float
    std: float

    def __post_init__(self) -> None:
        _check(_number(self.mean) and 0 <= self.mean <= 1)
        _check(_number(self.std) and 1e-7 <= self.std <= 1)

    def config(self) -> dict[str, Any]:
        """The same in the words of the Hub: what config.json holds."""
        content, shape = json.loads(self.text), self.shape
        return {
            "architectures": ["DigitNet"],
            "model_type": "digits",
            "image_size": shape.size,
            "num_channels": shape.channels,
            "fit": shape.fit,
            "id2label": {str(label): name for label, name in enumerate(shape.classes)},
            "label2id": {name: label for label, name in enumerate(shape.classes)},
            "architecture": content["architecture"],
            "normalisation": content["normalisation"],
        }


def parse(path: Path, text: str) -> Header:
    """The header of the file at `path`, from its JSON.

    Raises:
        HeaderError: it is not that of a model.
    """
    try:
        content = json.loads(text)
        architecture = Architecture(**content.pop("architecture"))
        normalisation = content.pop("normalisation")
        shape = _shape(**content.pop("shape")) if "shape" in content else MNIST
        _check(not content)
        return Header(text, architecture, shape, **normalisation)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise HeaderError(f"{path}: its header is not that of a model") from None


def _shape(classes: list[str], **others: Any) -> DataShape:
    _check(type(classes) is list and all(type(each) is str for each in classes))
    "".join(classes).encode()  # half a surrogate is no name
    _check(type(others.get("size")) is type(others.get("channels")) is int)
    return DataShape(classes=tuple(classes), **others)


def _check(is_right: bool) -> None:
    if not is_right:
        raise ValueError


def _whole(value: object, highest: int) -> bool:
    return type(value) is int and 1 <= value <= highest


def _number(value: object) -> bool:
    return type(value) in (int, float)
