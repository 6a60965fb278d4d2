"""Safetensors files with one typed header and a digest: a file explains and checks itself."""

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as encode

from digits.core import files
from digits.core.errors import UserError, one_line

if TYPE_CHECKING:
    from pydantic import BaseModel  # whoever only reads a model may lack it

KEY = "header"  # a single metadata key: with several, safetensors' bytes differ between runs
ENVELOPE = re.compile(r'\{"sha256":"([0-9a-f]{64})","content":(.*)\}', re.DOTALL)
AGAIN = "`dvc repro` makes it again"

# Larger than any file of this project; a file that claims more is refused before it takes memory.
MAX_BYTES = 2**30  # 87,000 colour images of 64x64 pixels, or 1.3 million digits
MAX_HEADER_BYTES = 4 * 2**20  # room for a row of numbers for each of 10,000 epochs
MAX_DIMENSIONS = 8
DTYPES = {"BOOL", "U8", "I16", "I32", "I64", "F32", "F64"}  # those that numpy has, too

Header = TypeVar("Header", bound="BaseModel")


class HeaderError(UserError):
    """The header is not of the kind that was asked for."""


def save(path: Path, tensors: Mapping[str, torch.Tensor], header: "BaseModel") -> None:
    """Write tensors and header; the same content gives the same bytes."""
    files.write(path, encoded(tensors, header.model_dump_json()))


def encoded(tensors: Mapping[str, torch.Tensor], header: str) -> bytes:
    """The file of these tensors and of a header that is JSON already."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    envelope = f'{{"sha256":"{_digest(contiguous, header)}","content":{header}}}'
    return encode(contiguous, metadata={KEY: envelope})


def load(path: Path, kind: type[Header]) -> tuple[dict[str, torch.Tensor], Header]:
    """Read what `save` wrote, the header checked against `kind` and all of it against the digest.

    Raises:
        HeaderError: a header of another kind or version.
        UserError: no such file, not safetensors, or damaged.
    """
    tensors, text = read(path)
    try:
        return tensors, kind.model_validate_json(text)
    except ValueError:
        raise HeaderError(f"{path}: has no valid {kind.__name__}; {AGAIN}") from None


def read(path: Path, again: str = AGAIN) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors and the header's JSON, both checked against the digest and nothing else.

    `again` says in a message how to get the file again.

    Raises:
        HeaderError: no header of this project.
        UserError: no such file, not safetensors, or damaged.
    """
    try:
        _check_size(path)
        with safe_open(path, framework="pt") as file:  # pyright: ignore
            envelope = ENVELOPE.fullmatch((file.metadata() or {}).get(KEY, ""))
            if not envelope:
                raise HeaderError(f"{path}: has no valid header; {again}")
            names: list[str] = list(file.keys())
            for name in names:
                view = file.get_slice(name)
                _check_kind(path, name, view.get_dtype(), view.get_shape())
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {again}") from None
    except SafetensorError as error:
        problem = one_line(str(error))
        raise UserError(f"{path}: not a whole safetensors file: {problem}") from None
    expected, header = envelope.groups()
    sha256 = _digest(tensors, header)
    if sha256 != expected:
        raise UserError(
            f"{path}: damaged: its header says sha256 {expected}, its content has {sha256}; "
            f"delete it, and {again}"
        )
    return tensors, header


def _check_size(path: Path) -> None:
    """Refuse a file too large to be ours before safetensors takes memory for it."""
    with path.open("rb") as file:
        claimed = int.from_bytes(file.read(8), "little")  # by the format: the header's length
    if claimed > MAX_HEADER_BYTES:
        raise UserError(
            f"{path}: not a whole safetensors file: its header claims {claimed:,} bytes, "
            f"{MAX_HEADER_BYTES:,} at most are allowed"
        )
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(f"{path}: has {size:,} bytes, {MAX_BYTES:,} at most are allowed")


def _check_kind(path: Path, name: str, dtype: str, shape: list[int]) -> None:
    """Refuse a tensor of a type or shape that torch or numpy cannot hold, or would choke on."""
    elements = math.prod(max(size, 1) for size in shape)
    if dtype not in DTYPES or len(shape) > MAX_DIMENSIONS or elements > MAX_BYTES:
        problem = one_line(f"{name!r} is {dtype} of shape {shape}")
        raise UserError(f"{path}: {problem}, which no file of this project holds")


def digest(tensors: Mapping[str, torch.Tensor], header: "BaseModel") -> str:
    """The sha256 of the header and of every tensor's name, type, shape and bytes."""
    return _digest(tensors, header.model_dump_json())


def _digest(tensors: Mapping[str, torch.Tensor], header: str) -> str:
    digest = hashlib.sha256(header.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy())  # pyright: ignore
    return digest.hexdigest()
