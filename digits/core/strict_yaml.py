"""A YAML file checked against a schema, and the message where it is refused."""

import reprlib
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from digits.core.errors import UserError, did_you_mean, one_line, without_secrets


class Section(BaseModel):
    """A part of the file: immutable, no unknown keys, finite numbers.

    Types are not converted, but for whole numbers: DVC takes 2 and 2.0 for the same and runs
    nothing, so here they are the same, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    if_missing: ClassVar[str] = ""  # what to do where one of its keys is missing

    @field_validator("*", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        return whole(value)


def whole(value: object) -> object:
    """The value as an int if it is a float without a fraction, such as 2.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Schema = TypeVar("Schema", bound=Section)


def read(schema: type[Schema], path: Path) -> Schema:
    """Read and check a YAML file; values are read as DVC reads them (`1e-3` is a number).

    Raises:
        UserError: no such file, not YAML, or values that the schema refuses: one line for each,
            with the key, the value and what is allowed.
    """
    try:
        content: object = YAML(typ="safe").load(path.read_bytes())  # pyright: ignore
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; restore it with `git checkout {path}`") from None
    except OSError:
        raise
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = one_line(str(error.problem))
        raise UserError(f"{path}{line}: not valid YAML: {problem}") from None
    except Exception as error:  # whatever Python says to a date, a number or a depth
        problem = one_line(str(error).partition("\n")[0]) or type(error).__name__
        raise UserError(f"{path}: not valid YAML: {problem}") from None
    return check(schema, content, str(path))


def check(schema: type[Schema], content: object, where: str) -> Schema:
    """The content as an object of the schema.

    Raises:
        UserError: the schema refuses it; every line of the message begins with `where`.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        details = error.errors(include_url=False)
        details = sorted(details, key=lambda each: each["type"] == "missing")[:10]  # typos first
        lines = (f"{where}: {_explain(detail, schema)}" for detail in details)
        raise UserError("\n".join(lines)) from None


def _explain(detail: ErrorDetails, schema: type[Section]) -> str:
    """One line for one refused value: its key, the value, what is allowed."""
    location = detail["loc"]
    key = ".".join(one_line(str(part), 60) for part in location)
    match detail["type"]:
        case "extra_forbidden":
            keys = list(_section(schema, location[:-1]).model_fields)
            hint = did_you_mean(str(location[-1]), keys)
            return f"{key}: unknown key; {hint}allowed here: {', '.join(keys)}"
        case "missing":
            advice = _section(schema, location[:-1]).if_missing or schema.if_missing
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
        return one_line(_Repr().repr(value))
    except ValueError:  # Python prints no number of more than 4,300 digits
        return "a number of thousands of digits"


class _Repr(reprlib.Repr):
    """Shortens a value, after the credentials in its addresses are masked."""

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(without_secrets(x), level)


def _section(schema: type[Section], location: tuple[int | str, ...]) -> type[Section]:
    """The schema of the part at `location`."""
    section: Any = schema
    for part in location:
        annotation: Any = section.model_fields[str(part)].annotation
        section = next(iter(get_args(annotation)), annotation)  # `Files | None` gives Files
    return section
