"""The schema of params.yaml: every section, key, type and range, and how it is read.

There are no defaults here: a value that changes a result stands in params.yaml. Unknown keys
are refused, because DVC itself would ignore a misspelt one in silence.
"""

import difflib
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from stages.lib.errors import UserError, one_line

IMAGE_SIZE = 28  # pixels, width and height
MAX_PARAMETERS = 10_000_000  # 40 MB of weights, a thousand times what the digits need
MAX_BYTES = 64 * 2**10  # of a YAML file, twenty times params.yaml: reading takes seconds at most
MAX_DEPTH = 10  # nested lists and mappings of a YAML file; ours have 3


def _block(value: object) -> object:
    if value == "pool" or (type(value) is int and 1 <= value <= 1024):
        return value
    raise ValueError("should be 'pool' or a whole number of channels, 1 to 1024")


Block = Annotated[int | Literal["pool"], PlainValidator(_block)]


class Section(BaseModel):
    """A part of params.yaml: immutable, no unknown keys, no type conversions, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Download(Section):
    """Where the four IDX files come from."""

    source: Literal["mnist", "sample"]


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

    download: Download
    preprocess: Preprocess
    model: Model
    augment: Augment
    train: Train


Schema = TypeVar("Schema", bound=Section)


def read(path: Path) -> Parameters:
    """Read and check a recipe: params.yaml, or a file of recipes/.

    Raises:
        UserError: as `read_as`.
    """
    return read_as(Parameters, path)


def read_as(kind: type[Schema], path: Path) -> Schema:
    """Read and check a YAML file; values are read as DVC reads them (`1e-3` is a number).

    Raises:
        UserError: no such file, not YAML, too large, or with values that the schema refuses: one
            line for each, with the key, what was found and what is allowed.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes; no parameters need that")
        _check_plain(path, text)
        content: object = YAML(typ="safe").load(text)  # pyright: ignore
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; restore it with `git checkout {path}`") from None
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = one_line(str(error.problem))
        raise UserError(f"{path}{line}: not valid YAML: {problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = one_line(str(error).splitlines()[0])
        raise UserError(f"{path}: not valid YAML: {problem}") from None
    return check(kind, content, str(path))


def _check_plain(path: Path, text: bytes) -> None:
    """Refuse what makes a small file large or slow: aliases, tags and deep nesting."""
    depth = 0
    for event in YAML(typ="safe").parse(text):  # pyright: ignore
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, AliasEvent) or getattr(event, "tag", None) or depth > MAX_DEPTH:
            raise UserError(
                f"{path}, line {event.start_mark.line + 1}: an alias (*name), a tag (!name) or "
                f"more than {MAX_DEPTH} lists in lists; write plain values"
            )


def check(kind: type[Schema], content: object, where: str) -> Schema:
    """The content as `kind`.

    Raises:
        UserError: the schema refuses it; every line of the message begins with `where`.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False)[:10]
        raise UserError("\n".join(f"{where}: {_explain(each, kind)}" for each in found)) from None


def _explain(detail: ErrorDetails, kind: type[Section]) -> str:
    """One line for one refused value: its key, what was found, what is allowed."""
    location = detail["loc"]
    key = ".".join(one_line(str(part), 60) for part in location)
    match detail["type"]:
        case "extra_forbidden":
            keys = _keys(kind, location[:-1])
            close = difflib.get_close_matches(str(location[-1]), keys, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            return f"{key}: unknown key; {hint}allowed here: {', '.join(keys)}"
        case "missing":
            source = "recipes/described.yaml" if kind is Parameters else "git"
            return f"{key}: missing; restore it from {source}"
        case "value_error":
            problem = str(detail["ctx"]["error"])  # pyright: ignore
            return f"{key} is {_shown(detail['input'])}: {problem}"
        case _:
            allowed = detail["msg"].replace("Input should be", "should be")
            return f"{key or 'the file'} is {_shown(detail['input'])}: {allowed}"


def _shown(value: object) -> str:
    """A value as the user wrote it, shortened."""
    try:
        return one_line(reprlib.repr(value))
    except ValueError:  # Python prints no number of more than 4,300 digits
        return "a number of thousands of digits"


def _keys(kind: type[Section], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the schema has at `location`."""
    section: Any = kind
    for part in location:
        section = section.model_fields[str(part)].annotation
    return list(section.model_fields)
