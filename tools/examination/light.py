"""What light, lenses and sensors do to a picture of any kind."""

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Levels = npt.NDArray[np.float64]
Kind = Callable[[npt.NDArray[np.uint8], np.random.Generator], Image.Image]


def levels(image: Image.Image) -> Levels:
    """Grey levels, 0 to 255."""
    return np.array(image.convert("L"), float)


def picture(values: Levels) -> Image.Image:
    """The reverse; what is out of range is cut off."""
    return Image.fromarray(np.rint(values).clip(0, 255).astype(np.uint8))


def darker(one: Image.Image, other: Image.Image) -> Image.Image:
    """Of each pixel, the darker one."""
    return picture(np.minimum(levels(one), levels(other)))


def _changed(kind: Kind, change: Callable[[Levels, np.random.Generator], Levels]) -> Kind:
    return lambda digit, rng: picture(change(levels(kind(digit, rng)), rng))


def salt(kind: Kind) -> Kind:
    """One pixel of 100 is black or white."""

    def change(values: Levels, rng: np.random.Generator) -> Levels:
        return np.where(rng.random(values.shape) < 0.01, rng.choice([0, 255], values.shape), values)

    return _changed(kind, change)


def noise(kind: Kind, sigma: float = 25) -> Kind:
    """Normal noise of so many grey levels."""
    return _changed(kind, lambda values, rng: values + rng.normal(0, sigma, values.shape))


def fog(kind: Kind) -> Kind:
    """A fifth of the contrast, bright."""
    return _changed(kind, lambda values, _: 255 - (255 - values) * 0.2)


def blur(kind: Kind, radius: float) -> Kind:
    """Gaussian blur."""
    return lambda digit, rng: kind(digit, rng).filter(ImageFilter.GaussianBlur(radius))


def _slope(shape: tuple[int, ...], rng: np.random.Generator) -> Levels:
    """A plane in a random direction, -1 to 1 or a little more."""
    turn = rng.uniform(0, 2 * pi)
    y, x = np.ix_(*(np.linspace(-1, 1, side) for side in shape))
    return cos(turn) * x + sin(turn) * y


def shade(kind: Kind) -> Kind:
    """Light that falls off to 40 % from one side to the other."""

    def change(values: Levels, rng: np.random.Generator) -> Levels:
        slope = _slope(values.shape, rng)
        return values * (1 - 0.6 * (slope - slope.min()) / np.ptp(slope))

    return _changed(kind, change)


def vignette(kind: Kind) -> Kind:
    """Light that falls off to half towards the corners."""

    def change(values: Levels, rng: np.random.Generator) -> Levels:
        y, x = np.ix_(*(np.linspace(-1, 1, side) for side in values.shape))
        return values * (1 - 0.25 * (x**2 + y**2))

    return _changed(kind, change)


def shadow(kind: Kind) -> Kind:
    """A soft-edged shadow of 40 % on a part of the paper."""

    def change(values: Levels, rng: np.random.Generator) -> Levels:
        distance = _slope(values.shape, rng) + rng.uniform(-0.6, 0.6)
        return values * (1 - 0.4 / (1 + np.exp(-distance / 0.08)))

    return _changed(kind, change)
