"""Convolutions and matrix products of an octet, and the gradients by their weights."""

from typing import Any, NamedTuple

from digits.network.fast.lanes import (
    add_products,
    add_weighted,
    lane_sums,
    load,
    splat,
    store_block,
    zeros,
)
from digits.network.fast.register import LANES, Array, compiled, inlined


class Plane(NamedTuple):
    """One plane of a convolution of `f`; all fields are indices and steps.

    Pixel (r, p) is the sum over channels c and taps (a, b) of
    f[source + c plane + (r + a) pitch + 8 (p + b)] weights[w + c by_channel + (3 a + b) by_tap]
    and goes to f[target + r target_pitch + 8 p].
    """

    size: int
    source: int
    pitch: int
    plane: int
    channels: int
    w: int
    by_channel: int
    by_tap: int
    target: int
    target_pitch: int


@inlined
def forward_plane(layer: Any, k: int) -> Plane:
    """Channel k of what a convolution returns."""
    return Plane(
        layer.y_size, layer.corner, layer.pitch, layer.plane, layer.inputs,
        layer.w + 9 * layer.inputs * k, 9, 1, layer.y + k * layer.y_plane, layer.y_pitch,
    )  # fmt: skip


@inlined
def backward_plane(layer: Any, c: int) -> Plane:
    """Channel c of the gradient by its input: a convolution with every filter turned round."""
    return Plane(
        layer.size, layer.y_corner, layer.y_pitch, layer.y_plane, layer.outputs,
        layer.w + 9 * c + 8, 9 * layer.inputs, -1, layer.g + c * layer.size * layer.size * LANES,
        layer.size * LANES,
    )  # fmt: skip


def _block(rows: int, width: int) -> Any:
    @compiled
    def block(f: Array, weights: Array, plane: Plane, row: int, column: int) -> None:
        """So many pixels of a plane, from this row and column on; the sums stay in registers."""
        source, w = plane.source + row * plane.pitch + column * LANES, plane.w
        sums = zeros(f, rows, width)
        for _ in range(plane.channels):
            for _ in range(3):
                for x in range(source, source + 3 * LANES, LANES):
                    sums = add_products(sums, f, x, plane.pitch, splat(f, weights[w]))
                    w += plane.by_tap
                source += plane.pitch
            source += plane.plane - 3 * plane.pitch
            w += plane.by_channel - 9 * plane.by_tap
        target = plane.target + row * plane.target_pitch + column * LANES
        store_block(f, target, plane.target_pitch, sums)

    return block


_pixel, _row7 = _block(1, 1), _block(1, 7)
_block4, _block5, _block6, _block7 = (_block(2, width) for width in (4, 5, 6, 7))


@compiled
def convolve(f: Array, weights: Array, plane: Plane) -> None:
    """One plane, in equal strips of 4 to 7 pixels: 14 sums fit into a core's 16 registers."""
    size = plane.size
    strips = (size + 6) // 7 if size >= 4 else size
    for n in range(strips):
        column = size * n // strips
        width = size * (n + 1) // strips - column
        for row in range(0, size if width > 1 else 0, 2):
            above = min(row, size - 2)  # where one row is left, the row before is done again
            if width == 7 and row > above:
                _row7(f, weights, plane, row, column)
            elif width == 7:
                _block7(f, weights, plane, row, column)
            elif width == 6:
                _block6(f, weights, plane, above, column)
            elif width == 5:
                _block5(f, weights, plane, above, column)
            else:
                _block4(f, weights, plane, above, column)
        for row in range(0 if width > 1 else size):
            _pixel(f, weights, plane, row, column)


@compiled
def _filter_gradient(features: Array, first: int, last: int, layer: Any, k: int, c: int) -> Any:
    """The gradient by the 9 weights from channel c to channel k, summed over octets."""
    sums = zeros(features, 3, 3)
    for octet in range(first, last):
        f = features[octet]
        x, y = layer.corner + c * layer.plane, layer.y + k * layer.y_plane
        for _ in range(layer.y_size):
            for p in range(0, layer.y_size * LANES, LANES):
                sums = add_products(sums, f, x + p, layer.pitch, load(f, y + p))
            x += layer.pitch
            y += layer.y_pitch
    return lane_sums(sums)


@compiled
def add_filter_gradients(
    features: Array, first: int, last: int, layer: Any, gradient: Array
) -> None:
    """Add the gradient by all weights of a convolution, summed over octets."""
    w = layer.w
    for k in range(layer.outputs):
        for c in range(layer.inputs):
            for total in _filter_gradient(features, first, last, layer, k, c):
                gradient[w] += total
                w += 1


class Product(NamedTuple):
    """A matrix product; all fields are indices and steps.

    f[target + 8 o] is the sum over i of f[source + 8 i] weights[w + i by_input + o by_output].
    """

    source: int
    inputs: int
    target: int
    outputs: int
    w: int
    by_input: int
    by_output: int


@compiled
def multiply(f: Array, weights: Array, product: Product) -> None:
    """A matrix product, eight outputs at a time."""
    source, inputs, target, outputs, w, by_input, by_output = product
    whole = outputs - outputs % LANES
    for o in range(0, whole, LANES):
        sums = zeros(f, 1, 8)
        for i in range(inputs):
            at = w + i * by_input + o * by_output
            sums = add_weighted(sums, load(f, source + i * LANES), weights, at, by_output)
        store_block(f, target + o * LANES, 0, sums)
    for o in range(whole, outputs):
        single = zeros(f, 1, 1)
        for i in range(inputs):
            at = w + i * by_input + o * by_output
            single = add_weighted(single, load(f, source + i * LANES), weights, at, by_output)
        store_block(f, target + o * LANES, 0, single)


@compiled
def add_gradient(
    features: Array, first: int, last: int, x: int, inputs: int, g: int, gradient: Array, w: int
) -> Any:
    """Add to gradient[w : w + inputs] that by one output's weights, summed over octets.

    Returns the gradient by its bias.
    """
    whole = inputs - inputs % LANES
    for i in range(0, whole, LANES):
        sums = zeros(features, 1, 8)
        for octet in range(first, last):
            f = features[octet]
            sums = add_products(sums, f, x + i * LANES, 0, load(f, g))
        for n, total in enumerate(lane_sums(sums)):
            gradient[w + i + n] += total
    for i in range(whole, inputs):
        single = zeros(features, 1, 1)
        for octet in range(first, last):
            f = features[octet]
            single = add_products(single, f, x + i * LANES, 0, load(f, g))
        gradient[w + i] += lane_sums(single)[0]
    bias = splat(features, 0.0)
    for octet in range(first, last):
        bias = bias + load(features[octet], g)
    return lane_sums(((bias,),))[0]
