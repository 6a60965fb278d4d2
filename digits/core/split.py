"""A split of the data set, in memory and on disk."""

import reprlib
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from digits.core import tensor_file
from digits.core.data_shape import CLASSES, IMAGE_SIZE
from digits.core.errors import UserError


class Normalisation(BaseModel):
    """Mean and standard deviation of a training split's pixels, with black 0 and white 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: float = Field(ge=0, le=1)
    std: float = Field(ge=1e-7, le=1)  # 6e-7: one pixel in 60,000 images differs by 1 of 255

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Images of 0 to 255, any dtype and shape, as float32 of mean 0 and deviation 1."""
        return images.to(torch.float32).sub(255 * self.mean).div_(255 * self.std)


@dataclass(frozen=True)
class Split:
    """Images with their labels, and the normalisation measured on the training split.

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

    def first(self, count: int) -> "Split":
        """The first `count` images, or all of them if there are fewer."""
        return Split(self.images[:count], self.labels[:count], self.normalisation)


def save(path: Path, split: Split) -> None:
    """Write a split as safetensors; the same split gives the same bytes."""
    tensor_file.save(path, {"images": split.images, "labels": split.labels}, split.normalisation)


def load(path: Path, like: Normalisation | None = None) -> Split:
    """Read a split.

    Args:
        path: what `save` wrote.
        like: the normalisation of the split or the model that it is used with. Every split holds
            the one of the training split that was made with it, which tells whether both are of
            one generation: if `preprocess` is killed between two files, they are not.

    Raises:
        UserError: no such file, not a split, or of another generation.
    """
    content, normalisation = tensor_file.load(path, Normalisation)
    if like and normalisation != like:
        raise UserError(
            f"{path}: was made beside training images with {normalisation}, but is used with what "
            f"was made from others, with {like}; run `dvc repro`"
        )
    if set(content) != {"images", "labels"}:
        names = reprlib.repr(sorted(content))
        raise UserError(f"{path}: holds {names}, expected images and labels")
    images, labels = content["images"], content["labels"]
    expected = {"images": (len(labels), IMAGE_SIZE, IMAGE_SIZE), "labels": (len(labels),)}
    for name, tensor in content.items():
        if tensor.dtype != torch.uint8 or tensor.shape != expected[name]:
            raise UserError(
                f"{path}: {name} are {tensor.dtype} of shape {tuple(tensor.shape)}, expected "
                f"torch.uint8 of shape {expected[name]}; `dvc repro` makes it again"
            )
    if len(labels) and labels.max() >= CLASSES:
        raise UserError(f"{path}: label {labels.max()}, expected 0 to {CLASSES - 1}")
    return Split(images, labels, normalisation)
