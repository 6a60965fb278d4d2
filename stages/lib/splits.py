"""A split of the data set, on disk and in memory."""

import reprlib
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from stages.lib import tensors
from stages.lib.errors import UserError
from stages.lib.parameters import IMAGE_SIZE

DIGITS = 10


class Normalisation(BaseModel):
    """Mean and standard deviation of a training split's pixels, with black 0 and white 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: float = Field(ge=0, le=1)
    std: float = Field(ge=1e-7, le=1)  # 6e-7: one pixel of 60,000 images differs by 1 of 255

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Images of 0 to 255, any dtype and shape, as float32 of mean 0 and deviation 1."""
        return images.to(torch.float32).sub(255 * self.mean).div_(255 * self.std)


@dataclass(frozen=True)
class Split:
    """Digits with their labels and the normalisation that the training split calls for.

    images: uint8 `(N, 28, 28)`, 0 to 255. labels: uint8 `(N,)`, 0 to 9. N may be 0.
    """

    images: torch.Tensor
    labels: torch.Tensor
    normalisation: Normalisation

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Split":
        """The same split on another device."""
        return Split(self.images.to(device), self.labels.to(device), self.normalisation)


def save(path: Path, split: Split) -> None:
    """Write a split as safetensors; the same split gives the same bytes."""
    tensors.save(path, {"images": split.images, "labels": split.labels}, split.normalisation)


def load(path: Path) -> Split:
    """Read a split.

    Raises:
        UserError: no such file, or not a split of digits.
    """
    found, normalisation = tensors.load(path, Normalisation)
    if set(found) != {"images", "labels"}:
        names = reprlib.repr(sorted(found))
        raise UserError(f"{path}: holds {names}, expected images and labels")
    images, labels = found["images"], found["labels"]
    expected = {"images": (len(labels), IMAGE_SIZE, IMAGE_SIZE), "labels": (len(labels),)}
    for name, tensor in found.items():
        if tensor.dtype != torch.uint8 or tensor.shape != expected[name]:
            raise UserError(
                f"{path}: {name} are {tensor.dtype} of shape {tuple(tensor.shape)}, expected "
                f"torch.uint8 of shape {expected[name]}; `dvc repro` remakes it"
            )
    if len(labels) and labels.max() >= DIGITS:
        raise UserError(f"{path}: found label {labels.max()}, expected 0 to {DIGITS - 1}")
    return Split(images, labels, normalisation)
