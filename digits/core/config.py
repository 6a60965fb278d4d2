"""The schema of params.yaml: every section, key, type and range.

A key that has a default may be left out; its default switches it off, so that a recipe names what
it uses. Unknown keys are refused, because DVC itself ignores a misspelt one.
"""

import re
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from digits.core import strict_yaml
from digits.core.data_shape import SIZES
from digits.core.strict_yaml import Section, whole

MAX_PARAMETERS = 10_000_000  # 40 MB of weights, a thousand times what digits need


class File(Section):
    """One file of the user's own: where it is, and its digest."""

    if_missing = "each of the four files needs an address and a sha256"
    address: str
    sha256: str

    @field_validator("address")
    @classmethod
    def _names_a_file(cls, address: str) -> str:
        scheme = address.partition("://")[0].lower() if "://" in address else "file"
        if scheme not in ("file", "http", "https") or not address.rpartition("/")[2]:
            raise ValueError("should be a file's path, or its file://, http:// or https:// address")
        if "@" in urlsplit(address).netloc:
            raise ValueError("holds credentials, which would go into dvc.lock; see docs/data.md")
        return address

    @field_validator("sha256")
    @classmethod
    def _is_a_digest(cls, sha256: str) -> str:
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError("should be the 64 hexadecimal digits that sha256sum prints")
        return sha256


class Files(Section):
    """The user's own four gzipped IDX files: grey pixels, labels from 0 on."""

    if_missing = File.if_missing
    train_images: File
    train_labels: File
    test_images: File
    test_labels: File


class Download(Section):
    """Where the four IDX files come from; sources/catalog.py has the names of the sources."""

    source: str
    files: Files | None = Field(default=None, validate_default=True)

    @field_validator("files")
    @classmethod
    def _belong_to_own(cls, files: Files | None, info: ValidationInfo) -> Files | None:
        source = info.data.get("source", "own" if files else "mnist")  # or it is refused already
        if files and source != "own":
            raise ValueError(f"source is {source!r}; set it to own, or files to null")
        if source == "own" and not files:
            raise ValueError("source is 'own', which needs an address and a sha256 of four files")
        if files and files.train_images.sha256 == files.test_images.sha256:
            raise ValueError("train_images and test_images have the same sha256")
        return files


def _size(value: object) -> object:
    value = whole(value)
    if (type(value) is int and 0 <= value <= 50_000) or (type(value) is float and 0 < value < 1):
        return value
    raise ValueError("should be a whole number, 0 to 50000, or a share between 0 and 1")


Size = Annotated[int | float, PlainValidator(_size)]


class Preprocess(Section):
    """What becomes of the images, and how they are split."""

    validation_size: Size  # images, or a share of those that are not for the test
    seed: int = Field(ge=0, lt=2**32)
    channels: Literal[1, 3] = 1
    image_size: int | None = Field(default=None, ge=SIZES[0], le=SIZES[-1])
    fit: Literal["pad", "crop", "stretch"] = "pad"
    test_share: float | None = Field(default=None, gt=0, lt=1)


def _block(value: object) -> object:
    value = whole(value)
    if isinstance(value, str) or (type(value) is int and 1 <= value <= 1024):
        return value
    raise ValueError("should be a whole number of channels, 1 to 1024, or a word such as 'pool'")


Block = Annotated[int | str, PlainValidator(_block)]


class Architecture(Section):
    """The network's shape, also the header of the model file; network/blocks.py interprets it."""

    blocks: list[Block] = Field(min_length=1, max_length=32)
    bias_free: bool = Field(default=False, exclude_if=not_)  # off, it is in no file
    hidden: int | None = Field(default=None, ge=1, le=4096)
    dropout: float = Field(default=0, ge=0, lt=1)


class Model(Architecture):
    """The network and the number of parameters that it may have."""

    parameter_budget: int = Field(ge=1, le=MAX_PARAMETERS)


def _strength(unit: Literal["degrees", "share"], **bounds: Any) -> Any:
    """An augmentation's largest amount, either way; 0 switches it off."""
    return Field(default=0, ge=0, json_schema_extra={"unit": unit}, **bounds)


class Augmentation(Section):
    """How training images are changed, each by its own random amount; flips, half of them."""

    rotation: float = _strength("degrees", le=180)
    translation: float = _strength("share", le=1)
    scale: float = _strength("share", lt=1)
    shear: float = _strength("degrees", lt=90)
    interpolation: Literal["nearest", "bilinear"] = "nearest"
    padding: Literal["zeros", "border"] = "zeros"
    horizontal_flip: bool = Field(default=False, json_schema_extra={"unit": None})
    vertical_flip: bool = Field(default=False, json_schema_extra={"unit": None})
    brightness: float = _strength("share", le=1)
    contrast: float = _strength("share", le=1)
    saturation: float = _strength("share", le=1)

    def __str__(self) -> str:
        """The amounts that are on, such as `rotation ±10°, scale ±5 %`."""
        amounts: list[str] = []
        for name, field in type(self).model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and (value := getattr(self, name)):
                amount = {"degrees": f" ±{value:g}°", "share": f" ±{100 * value:g} %", "None": ""}
                amounts.append(name.replace("_", " ") + amount[str(extra["unit"])])
        return ", ".join(amounts)


class Training(Section):
    """The optimizer, its schedule and the machine."""

    seed: int = Field(ge=0, lt=2**32)
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=2, le=60_000)
    max_learning_rate: float = Field(gt=0, le=10)
    pct_start: float = Field(gt=0, lt=1)
    div_factor: float = Field(ge=1, le=1e6)
    final_div_factor: float = Field(ge=1, le=1e9)
    weight_decay: float = Field(default=0, ge=0, le=1)
    norm_images: int = Field(default=0, ge=0, le=60_000)
    dropout_epochs: int | None = Field(default=None, ge=0, le=10_000)
    device: Literal["cpu", "cuda", "auto"] = "cpu"


class Config(Section):
    """The whole of params.yaml."""

    if_missing = "restore it from recipes/tuned.yaml"
    download: Download
    preprocess: Preprocess
    model: Model
    augment: Augmentation
    train: Training


def read(path: Path) -> Config:
    """Read and check a recipe: params.yaml, or a file of recipes/.

    Raises:
        UserError: as `strict_yaml.read`.
    """
    return strict_yaml.read(Config, path)
