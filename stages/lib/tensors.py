"""Safetensors files with one typed header, so that a file explains itself."""

from pathlib import Path
from typing import TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as encode

from stages.lib import files
from stages.lib.errors import UserError

KEY = "header"  # a single metadata key: with several, safetensors' bytes differ between runs

Header = TypeVar("Header", bound=BaseModel)


def save(path: Path, tensors: dict[str, torch.Tensor], header: BaseModel) -> None:
    """Write tensors and header; the same content gives the same bytes."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    files.write(path, encode(contiguous, metadata={KEY: header.model_dump_json()}))


def load(path: Path, kind: type[Header]) -> tuple[dict[str, torch.Tensor], Header]:
    """Read what `save` wrote, the header checked against `kind`.

    Raises:
        UserError: no such file, not safetensors, or a header of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore
            header = kind.model_validate_json((file.metadata() or {}).get(KEY, ""))
            names: list[str] = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, header
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` makes it") from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file: {error}") from None
    except ValidationError:
        raise UserError(f"{path}: has no valid {kind.__name__}; `dvc repro` remakes it") from None
