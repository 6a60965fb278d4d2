"""Digits drawn by the tests, and the IDX files that carry them."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont

from digits.core import files
from digits.core.split import Normalisation, Split
from digits.sources import catalog, idx

Pixels = npt.NDArray[np.uint8]


def draw(count: int, seed: int, alphabet: str = "0123456789") -> tuple[Pixels, Pixels]:
    """`count` printed digits of 28x28, as many of each, at random places and sizes.

    A label is a place in `alphabet`, so that letters can stand for the digits.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    random.shuffle(labels)
    images = np.zeros((count, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        canvas = Image.new("L", (28, 28))
        place = (7 + int(random.integers(-2, 3)), 2 + int(random.integers(-2, 3)))
        font = ImageFont.load_default(size=int(random.integers(19, 25)))
        ImageDraw.Draw(canvas).text(place, alphabet[label], fill=255, font=font)
        image[:] = np.asarray(canvas)
    return images, labels


def split(count: int, seed: int = 0) -> Split:
    """A split of drawn digits."""
    images, labels = draw(count, seed)
    return Split(
        torch.from_numpy(images), torch.from_numpy(labels), Normalisation(mean=0.1, std=0.3)
    )


def write_idx(
    folder: Path, train: int = 600, test: int = 100, alphabet: str = "0123456789"
) -> dict[str, str]:
    """Write the four IDX files of drawn digits into `folder`; returns name -> sha256."""
    arrays = (*draw(train, 1, alphabet), *draw(test, 2, alphabet))
    for name, array in zip(catalog.NAMES, arrays, strict=True):
        files.write(folder / name, idx.encode(array))
    return {name: sha256(folder / name) for name in catalog.NAMES}


def sha256(path: Path) -> str:
    """The digest that sha256sum prints."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
