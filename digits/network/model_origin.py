"""What a model was trained with: a record beside it, because the model's own bytes must not change.

DVC takes a model for one of the current parameters after `dvc commit` or `dvc exp save`, even if
nobody has trained it with them. The record says otherwise.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from digits.core import files
from digits.core.errors import UserError


def describe(model: Path, sections: Iterable[BaseModel], data: Iterable[Path]) -> dict[str, str]:
    """Digests of the model's file, of its parameters and of the files it was trained on.

    A parameter at its default, which is off, does not count. Code and packages do not either: an
    edit that changes no bit may be committed without training again.
    """
    values = [
        {
            name: value
            for name, field in type(section).model_fields.items()
            if (value := getattr(section, name)) != field.default
        }
        for section in sections
    ]
    content = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in data)
    return {
        "model": hashlib.md5(model.read_bytes(), usedforsecurity=False).hexdigest(),  # as dvc.lock
        "parameters": hashlib.sha256(json.dumps(values).encode()).hexdigest(),
        "data": hashlib.sha256(content.encode()).hexdigest(),
    }


def save(path: Path, model: Path, sections: Iterable[BaseModel], data: Iterable[Path]) -> None:
    """Write the record of a model that has just been trained."""
    files.write_json(path, describe(model, sections, data))


def check(path: Path, model: Path, sections: Iterable[BaseModel], data: Iterable[Path]) -> None:
    """Compare a record with the model, the parameters and the data that are there now.

    Raises:
        UserError: one of the three is not that of the record, or the record cannot be read.
    """
    try:
        recorded = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        recorded = {}
    for name, digest in describe(model, sections, data).items():
        if not isinstance(recorded, dict) or recorded.get(name) != digest:
            what = f"is not the file that {path} describes"
            if name != "model":
                what = f"was trained with other {name} than those that are here now"
            raise UserError(f"{model}: {what}; train it with `dvc repro --force train`")
