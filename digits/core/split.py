"""A split of the data set, in memory and on disk."""

import reprlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from digits.core import tensor_file
from digits.core.data_shape import MNIST, DataShape, normalise
from digits.core.errors import UserError


class Normalisation(BaseModel):
    """Mean and standard deviation of a training split's pixels, with black 0 and white 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: float = Field(ge=0, le=1)
    std: float = Field(ge=1e-7, le=1)  # 6e-7: one pixel in 60,000 images differs by 1 of 255

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Images of 0 to 255, any dtype and shape, as float32 of mean 0 and deviation 1."""
        return normalise(images, self.mean, self.std)


@dataclass(frozen=True)
class Split:
    """Images with their labels, and the normalisation measured on the training split.

    images: uint8 `(N, H, W)` if they are grey, `(N, H, W, 3)` if not, 0 to 255; N may be 0. labels:
    integer `(N,)`, places in `shape.classes`; uint8, or int16 with more than 256 classes.
    """

    images: torch.Tensor
    labels: torch.Tensor
    normalisation: Normalisation
    shape: DataShape = MNIST

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Split":
        """The same split on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def first(self, count: int) -> "Split":
        """The first `count` images, or all of them if there are fewer."""
        return replace(self, images=self.images[:count], labels=self.labels[:count])


class SplitHeader(Normalisation):
    """The header of a split file."""

    shape: DataShape = Field(default=MNIST, exclude_if=lambda shape: shape == MNIST)


def label_type(shape: DataShape) -> torch.dtype:
    """The smallest type that holds every label."""
    return torch.uint8 if len(shape.classes) <= 256 else torch.int16


def save(path: Path, split: Split) -> None:
    """Write a split as safetensors; the same split gives the same bytes."""
    header = SplitHeader(**split.normalisation.model_dump(), shape=split.shape)
    tensor_file.save(path, {"images": split.images, "labels": split.labels}, header)


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
    content, header = tensor_file.load(path, SplitHeader)
    normalisation, shape = Normalisation(mean=header.mean, std=header.std), header.shape
    if like and normalisation != like:
        raise UserError(
            f"{path}: was made beside training images with {normalisation}, but is used with what "
            f"was made from others, with {like}; run `dvc repro`"
        )
    if set(content) != {"images", "labels"}:
        names = reprlib.repr(sorted(content))
        raise UserError(f"{path}: holds {names}, expected images and labels")
    images, labels = content["images"], content["labels"]
    expected = {
        "images": (torch.uint8, shape.images(len(labels))),
        "labels": (label_type(shape), (len(labels),)),
    }
    for name, tensor in content.items():
        kind, size = expected[name]
        if tensor.dtype != kind or tensor.shape != size:
            raise UserError(
                f"{path}: {name} are {tensor.dtype} of shape {tuple(tensor.shape)}, expected "
                f"{kind} of shape {size}; `dvc repro` makes it again"
            )
    last = len(shape.classes) - 1
    if len(labels) and not 0 <= labels.min() <= labels.max() <= last:
        raise UserError(f"{path}: label {labels.max()}, expected 0 to {last}")
    return Split(images, labels, normalisation, shape)
