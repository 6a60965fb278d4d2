"""Backwards, as far as a few octets go until sums over the whole batch must be known."""

from typing import Any

import numpy as np

from digits.network.fast.forward import channel_of, drop
from digits.network.fast.job import AVERAGE, LOGITS, SLICES, Channel, Network, Piece, lanes_used
from digits.network.fast.lanes import load, splat, store, where_greater
from digits.network.fast.norm import passed_sums, to_gradient
from digits.network.fast.products import (
    Product,
    add_filter_gradients,
    add_gradient,
    backward_plane,
    convolve,
    multiply,
)
from digits.network.fast.register import LANES, Array, compiled


@compiled
def head(piece: Piece) -> None:
    """From the logits back to the last convolution."""
    net = piece.net
    gradient, last = net.gradients[piece.slice], len(net.plan) - 1
    for octet in range(piece.first, piece.last):
        _loss_gradient(piece, octet, net.plan[last])
    for at in range(last - 1, net.convolutions[len(net.convolutions) - 1], -1):
        layer, after = net.plan[at], net.plan[at + 1]
        if layer.kind == AVERAGE:
            for octet in range(piece.first, piece.last):
                _spread(net.features[octet], layer, after)
            continue
        for octet in range(piece.first, piece.last):
            f = net.features[octet]
            if after.kind != LOGITS:
                for j in range(layer.outputs):
                    g, zero = after.g + j * LANES, splat(f, 0.0)
                    value = load(f, after.x + j * LANES)
                    store(f, g, where_greater(value, zero, load(f, g), zero))
            inputs, outputs = layer.inputs, layer.outputs
            product = Product(after.g, outputs, layer.g, inputs, layer.w, inputs, 1)
            multiply(f, net.weights, product)
            drop(piece, octet, layer, f, layer.g)
        for j in range(layer.outputs):
            gradient[layer.bias + j] += add_gradient(
                net.features, piece.first, piece.last, layer.x, layer.inputs,
                after.g + j * LANES, gradient, layer.w + j * layer.inputs,
            )  # fmt: skip
    _sum_passed(piece, len(net.convolutions) - 1)


@compiled
def _spread(f: Array, layer: Any, after: Any) -> None:
    """The gradient by a mean goes in equal shares to its pixels."""
    pixels = layer.size * layer.size
    share = splat(f, 1 / pixels)
    for c in range(layer.inputs):
        value = load(f, after.g + c * LANES) * share
        for p in range(pixels):
            store(f, layer.g + (c * pixels + p) * LANES, value)


@compiled
def _loss_gradient(piece: Piece, octet: int, end: Any) -> None:
    """(softmax(logits) - one-hot label) / images, and 0 in unused lanes."""
    f, begin = piece.net.features[octet], piece.begin + octet * LANES
    for lane in range(LANES):
        total, largest = 0.0, np.float64(f[end.x + lane])
        for j in range(end.inputs):
            largest = max(largest, np.float64(f[end.x + j * LANES + lane]))
        for j in range(end.inputs):
            total += _exp(f[end.x + j * LANES + lane] - largest)
        for j in range(end.inputs):
            value = 0.0
            if lane < lanes_used(piece, octet):
                share = _exp(f[end.x + j * LANES + lane] - largest) / total
                hit = 1.0 if j == piece.job.labels[begin + lane] else 0.0
                value = (share - hit) / piece.images
            f[end.g + j * LANES + lane] = value


@compiled
def _exp(x: float) -> float:
    """e^x of x at most 0, to 1e-12 of it; math.exp differs between C libraries."""
    if x < -100:
        return 0.0
    part, term, total = x / 1024, 1.0, 1.0
    for n in range(1, 10):
        term *= part / n
        total += term
    for _ in range(10):
        total *= total
    return total


@compiled
def _sum_passed(piece: Piece, n: int) -> None:
    """Add up the gradient that passes the ReLU of convolution n."""
    net = piece.net
    layer, after = net.plan[net.convolutions[n]], net.plan[net.convolutions[n] + 1]
    for k in range(layer.outputs):
        channel = channel_of(piece, layer, k)
        sums = net.sums[piece.slice, layer.channel + k]
        y, g = layer.y + k * layer.y_plane, after.g + k * after.size * after.size * LANES
        for octet in range(piece.first, piece.last):
            f, used = net.features[octet], lanes_used(piece, octet)
            total, product = passed_sums(layer, f, y, channel, g, after, used)
            sums[3] += total
            sums[4] += product


@compiled
def norm_gradient(net: Network, layer: Any, k: int, channel: Channel) -> Any:
    """The gradients by beta and by gamma of a channel."""
    by_beta, by_gamma = 0.0, 0.0
    for number in range(SLICES):
        by_beta += net.sums[number, layer.channel + k, 3]
        by_gamma += net.sums[number, layer.channel + k, 4]
    return by_beta, by_gamma * channel.inverse


@compiled
def backward(piece: Piece, n: int) -> None:
    """From the gradient by what convolution n's layer returns to that of the layer before."""
    net = piece.net
    layer, after = net.plan[net.convolutions[n]], net.plan[net.convolutions[n] + 1]
    count = piece.images * layer.y_size * layer.y_size
    for k in range(layer.outputs):
        channel = channel_of(piece, layer, k)
        by_beta, by_gamma = norm_gradient(net, layer, k, channel)
        y, g = layer.y + k * layer.y_plane, after.g + k * after.size * after.size * LANES
        for octet in range(piece.first, piece.last):
            to_gradient(
                layer, net.features[octet], y, channel, g, after, by_beta / count,
                by_gamma / count, lanes_used(piece, octet),
            )  # fmt: skip
    gradient = net.gradients[piece.slice]
    add_filter_gradients(net.features, piece.first, piece.last, layer, gradient)
    if n > 0:
        for c in range(layer.inputs):
            plane = backward_plane(layer, c)
            for octet in range(piece.first, piece.last):
                convolve(net.features[octet], net.weights, plane)
        _sum_passed(piece, n - 1)
