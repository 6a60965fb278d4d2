"""BatchNorm, ReLU and max-pooling of one plane of an octet, and their gradient, in few passes.

A window of w x w pixels of the convolution's output makes one pixel of the layer's; without a pool
w is 1. BatchNorm is monotone, so the pixel that a pool takes is known before it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from digits.network.fast.job import Channel
from digits.network.fast.lanes import (
    fma,
    keep,
    lane_sums,
    load,
    splat,
    store,
    where_equal,
    where_greater,
)
from digits.network.fast.register import LANES, Array, compiled


@compiled
def moments(f: Array, y: int, layer: Any, centre: float, images: int) -> Any:
    """The sums of a plane's deviations from `centre`, and of their squares."""
    shift, total = splat(f, centre), splat(f, 0.0)
    square, other, other_square = total, total, total
    for _ in range(layer.y_size):
        for at in range(y, y + (layer.y_size - layer.y_size % 2) * LANES, 2 * LANES):
            one, two = load(f, at) - shift, load(f, at + LANES) - shift
            total, square = total + one, fma(one, one, square)
            other, other_square = other + two, fma(two, two, other_square)
        if layer.y_size % 2:
            one = load(f, y + (layer.y_size - 1) * LANES) - shift
            total, square = total + one, fma(one, one, square)
        y += layer.y_pitch
    return lane_sums(((keep(total + other, images), keep(square + other_square, images)),))


@cache
def _find_largest(window: int) -> Any:
    @compiled
    def largest(layer: Any, f: Array, y: int, sign: Any) -> Any:
        """The value of a window that is the largest when multiplied by `sign`."""
        width = window or layer.window
        best = load(f, y) * sign
        for a in range(width):
            for b in range(width):
                value = load(f, y + a * layer.y_pitch + b * LANES) * sign
                best = where_greater(value, best, value, best)
        return best * sign

    return largest


def _by_window(make: Callable[[int], Any]) -> Any:
    """Compile a function for windows of 1, of 2 and of any size: known loops are unrolled."""
    one, two, other = make(1), make(2), make(0)

    @compiled
    def choose(layer: Any, *rest: Any) -> Any:
        if layer.window == 1:
            return one(layer, *rest)
        if layer.window == 2:
            return two(layer, *rest)
        return other(layer, *rest)

    return choose


@_by_window
def normalise(window: int) -> Any:
    """Write relu(scale * y + shift) of each window's largest to the plane at x."""

    @compiled
    def write(layer: Any, f: Array, y: int, channel: Channel, x: int, after: Any) -> None:
        width = window or layer.window
        zero, scale, shift = splat(f, 0.0), splat(f, channel.scale), splat(f, channel.shift)
        for r in range(after.size):
            for p in range(after.size):
                best = zero
                for a in range(width):
                    at = y + (width * r + a) * layer.y_pitch + width * p * LANES
                    for b in range(width):
                        value = fma(load(f, at + b * LANES), scale, shift)
                        best = where_greater(value, best, value, best)
                store(f, x + r * after.pitch + p * LANES, best)

    return write


@_by_window
def passed_sums(window: int) -> Any:
    """The sums of the gradient at g as far as it passes ReLU, and of its products with y - mean."""
    largest = _find_largest(window)

    @compiled
    def add(layer: Any, f: Array, y: int, channel: Channel, g: int, after: Any, images: int) -> Any:
        width = window or layer.window
        zero, mean = splat(f, 0.0), splat(f, channel.mean)
        scale, shift = splat(f, channel.scale), splat(f, channel.shift)
        sign = splat(f, 1.0 if channel.scale >= 0 else -1.0)
        total, product = zero, zero
        for r in range(after.size):
            for p in range(after.size):
                value = largest(layer, f, y + width * (r * layer.y_pitch + p * LANES), sign)
                passed = where_greater(fma(value, scale, shift), zero, load(f, g), zero)
                total, product = total + passed, fma(passed, value - mean, product)
                g += LANES
        return lane_sums(((keep(total, images), keep(product, images)),))

    return add


@_by_window
def to_gradient(window: int) -> Any:
    """Overwrite a plane of y with the gradient by it.

    The gradient at g that passes ReLU goes to the first of a window's largest; all pixels share
    what the batch's mean and deviation pass on: by_beta and by_gamma are gradients per pixel.
    """
    largest = _find_largest(window)

    @compiled
    def write(
        layer: Any, f: Array, y: int, channel: Channel, g: int, after: Any, by_beta: float,
        by_gamma: float, images: int,
    ) -> None:  # fmt: skip
        width = window or layer.window
        slope = -channel.scale * channel.inverse * by_gamma
        constant = -channel.scale * by_beta - slope * channel.mean
        zero, slopes, constants = splat(f, 0.0), splat(f, slope), splat(f, constant)
        scale, shift = splat(f, channel.scale), splat(f, channel.shift)
        sign = splat(f, 1.0 if channel.scale >= 0 else -1.0)
        for r in range(after.size):
            for p in range(after.size):
                begin = y + width * (r * layer.y_pitch + p * LANES)
                best = largest(layer, f, begin, sign)
                left = where_greater(fma(best, scale, shift), zero, load(f, g) * scale, zero)
                for a in range(width):
                    for b in range(width):
                        place = begin + a * layer.y_pitch + b * LANES
                        value = load(f, place)
                        own = where_equal(value, best, left, zero)
                        left = where_equal(value, best, zero, left)
                        store(f, place, keep(fma(value, slopes, constants) + own, images))
                g += LANES
        used = after.size * width
        for r in range(layer.y_size):  # rows and columns that no window has
            for p in range(used if r < used else 0, layer.y_size):
                place = y + r * layer.y_pitch + p * LANES
                store(f, place, keep(fma(load(f, place), slopes, constants), images))

    return write
