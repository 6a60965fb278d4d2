"""A YAML file that is checked against a schema, and what is said where it is refused."""

import difflib
import reprlib
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from stages.lib.errors import UserError, one_line

MAX_BYTES = 64 * 2**10  # of a YAML file, twenty times params.yaml: reading takes seconds at most
MAX_DEPTH = 10  # nested lists and mappings of a YAML file; ours have 4


class Section(BaseModel):
    """A part of the file: immutable, no unknown keys, no type conversions, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    if_missing: ClassVar[str] = ""  # what to do where one of its keys is missing


Schema = TypeVar("Schema", bound=Section)


def read_as(kind: type[Schema], path: Path) -> Schema:
    """Read and check a YAML file; values are read as DVC reads them (`1e-3` is a number).

    Raises:
        UserError: no such file, not YAML, too large, or with values that the schema refuses: one
            line for each, with the key, what was found and what is allowed.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; restore it with `git checkout {path}`") from None
    if len(text) > MAX_BYTES:
        raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes; no parameters need that")
    return check(kind, _load(path, text), str(path))


def _load(path: Path, text: bytes) -> object:
    """The content of a YAML file that holds plain values only."""
    try:
        _check_plain(path, text)
        return YAML(typ="safe").load(text)  # pyright: ignore
    except UserError:
        raise
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = one_line(str(error.problem))
        raise UserError(f"{path}{line}: not valid YAML: {problem}") from None
    except Exception as error:  # whatever Python says to a date, a number or a depth
        problem = one_line(str(error).partition("\n")[0]) or type(error).__name__
        raise UserError(f"{path}: not valid YAML: {problem}") from None


def _check_plain(path: Path, text: bytes) -> None:
    """Refuse what makes a small file large or slow, and directives, which change how it is read."""
    depth = 0
    for event in YAML(typ="safe").parse(text):  # pyright: ignore
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        odd = any(getattr(event, name, None) for name in ("tag", "tags", "version"))
        if isinstance(event, AliasEvent) or odd or depth > MAX_DEPTH:
            raise UserError(
                f"{path}, line {event.start_mark.line + 1}: an alias (*name), a tag (!name), a "
                f"directive (%NAME) or more than {MAX_DEPTH} lists in lists; write plain values"
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
            keys = list(_section(kind, location[:-1]).model_fields)
            close = difflib.get_close_matches(str(location[-1]), keys, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            return f"{key}: unknown key; {hint}allowed here: {', '.join(keys)}"
        case "missing":
            advice = _section(kind, location[:-1]).if_missing or kind.if_missing
            return f"{key}: missing; {advice or 'restore it from git'}"
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


def _section(kind: type[Section], location: tuple[int | str, ...]) -> type[Section]:
    """The schema of what stands at `location`."""
    section: Any = kind
    for part in location:
        annotation: Any = section.model_fields[str(part)].annotation
        section = next(iter(get_args(annotation)), annotation)  # of `Files | None`, Files
    return section
