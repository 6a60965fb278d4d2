"""Safetensors files with one typed header and a digest: a file explains and checks itself."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as encode

from stages.lib import files
from stages.lib.errors import UserError

KEY = "header"  # a single metadata key: with several, safetensors' bytes differ between runs

Header = TypeVar("Header", bound=BaseModel)


class Envelope(BaseModel):
    """What the metadata key holds as JSON; the digest is that of `content` and all tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    content: JsonValue


def save(path: Path, tensors: Mapping[str, torch.Tensor], header: BaseModel) -> None:
    """Write tensors and header; the same content gives the same bytes."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = header.model_dump(mode="json")
    envelope = Envelope(sha256=digest(contiguous, header), content=content)
    files.write(path, encode(contiguous, metadata={KEY: envelope.model_dump_json()}))


def load(path: Path, kind: type[Header]) -> tuple[dict[str, torch.Tensor], Header]:
    """Read what `save` wrote, the header checked against `kind` and all of it against the digest.

    Raises:
        UserError: no such file, not safetensors, a header of another kind, or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore
            envelope = Envelope.model_validate_json((file.metadata() or {}).get(KEY, ""))
            header = kind.model_validate(envelope.content)
            names: list[str] = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` makes it") from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file: {error}") from None
    except ValidationError:
        raise UserError(f"{path}: has no valid {kind.__name__}; `dvc repro` remakes it") from None
    found = digest(tensors, header)
    if found != envelope.sha256:
        raise UserError(
            f"{path}: damaged: its header says sha256 {envelope.sha256}, its content has {found}; "
            "delete it, and `dvc repro` remakes it"
        )
    return tensors, header


def digest(tensors: Mapping[str, torch.Tensor], header: BaseModel) -> str:
    """The sha256 of the header and of every tensor's name, type, shape and bytes."""
    found = hashlib.sha256(header.model_dump_json().encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.numpy())  # pyright: ignore
    return found.hexdigest()
