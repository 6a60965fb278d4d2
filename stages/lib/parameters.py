"""The schema of params.yaml: every section, key, type and range.

There are no defaults here: a value that changes a result stands in params.yaml. Unknown keys
are refused, because DVC itself would ignore a misspelt one in silence.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from stages.lib.sections import Section, read_as

IMAGE_SIZE = 28  # pixels, width and height
MAX_PARAMETERS = 10_000_000  # 40 MB of weights, a thousand times what the digits need


def _block(value: object) -> object:
    if value == "pool" or (type(value) is int and 1 <= value <= 1024):
        return value
    raise ValueError("should be 'pool' or a whole number of channels, 1 to 1024")


Block = Annotated[int | Literal["pool"], PlainValidator(_block)]


class File(Section):
    """One file of the user's own: where it is, and what it must be."""

    if_missing = "each of the four files needs an address and a sha256"
    address: str
    sha256: str

    @field_validator("address")
    @classmethod
    def _names_a_file(cls, address: str) -> str:
        scheme = address.partition("://")[0].lower() if "://" in address else "file"
        if scheme not in ("file", "http", "https") or not address.rpartition("/")[2]:
            raise ValueError("should be a file's path, or its file://, http:// or https:// address")
        return address

    @field_validator("sha256")
    @classmethod
    def _is_a_digest(cls, sha256: str) -> str:
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError("should be the 64 hexadecimal digits that sha256sum prints")
        return sha256


class Files(Section):
    """The four gzipped IDX files of the user's own: 28x28 grey pixels, labels 0 to 9."""

    if_missing = File.if_missing
    train_images: File
    train_labels: File
    test_images: File
    test_labels: File


class Download(Section):
    """Where the four IDX files come from."""

    source: Literal["mnist", "fashion-mnist", "kmnist", "sample", "own"]
    files: Files | None

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


class Preprocess(Section):
    """How the training images are split."""

    validation_size: int = Field(ge=0, le=50_000)
    seed: int = Field(ge=0, lt=2**32)


class Architecture(Section):
    """What determines the network's shape; also the header of the model file."""

    blocks: list[Block] = Field(min_length=1, max_length=32)
    hidden: int | None = Field(ge=1, le=4096)
    dropout: float = Field(ge=0, lt=1)

    @field_validator("blocks")
    @classmethod
    def _leaves_pixels(cls, blocks: list[Block]) -> list[Block]:
        pools = blocks.count("pool")
        if IMAGE_SIZE >> pools == 0:
            raise ValueError(
                f"{pools} 'pool' entries leave nothing of {IMAGE_SIZE} pixels; at most "
                f"{IMAGE_SIZE.bit_length() - 1} are allowed"
            )
        if set(blocks) == {"pool"}:
            raise ValueError("no convolution; at least one number is needed")
        return blocks


class Model(Architecture):
    """The network and the number of parameters that it may have."""

    parameter_budget: int = Field(ge=1, le=MAX_PARAMETERS)


class Augment(Section):
    """How far the training images are moved, each by its own random amount."""

    rotation: float = Field(ge=0, le=180)
    translation: float = Field(ge=0, le=1)
    scale: float = Field(ge=0, lt=1)
    shear: float = Field(ge=0, lt=90)
    interpolation: Literal["nearest", "bilinear"]


class Train(Section):
    """The optimizer, its schedule and the machine."""

    seed: int = Field(ge=0, lt=2**32)
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=2, le=60_000)
    max_learning_rate: float = Field(gt=0, le=10)
    pct_start: float = Field(gt=0, lt=1)
    div_factor: float = Field(ge=1, le=1e6)
    final_div_factor: float = Field(ge=1, le=1e9)
    weight_decay: float = Field(ge=0, le=1)
    norm_images: int = Field(ge=0, le=60_000)
    dropout_epochs: int | None = Field(ge=0, le=10_000)
    device: Literal["cpu", "cuda", "auto"]


class Parameters(Section):
    """The whole of params.yaml."""

    if_missing = "restore it from recipes/tuned.yaml"
    download: Download
    preprocess: Preprocess
    model: Model
    augment: Augment
    train: Train


def read(path: Path) -> Parameters:
    """Read and check a recipe: params.yaml, or a file of recipes/.

    Raises:
        UserError: as `sections.read_as`.
    """
    return read_as(Parameters, path)
