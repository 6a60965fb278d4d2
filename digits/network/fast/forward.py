"""Forwards, as far as a few octets go until the statistics of the whole batch must be known."""

from typing import Any

import numpy as np

from digits.network.fast.job import (
    AVERAGE,
    CLASSIFY,
    EPS,
    LOGITS,
    SLICES,
    TRAIN,
    Channel,
    Network,
    Piece,
    bias_of,
    lanes_used,
)
from digits.network.fast.lanes import load, splat, store, where_greater
from digits.network.fast.norm import moments, normalise
from digits.network.fast.products import Product, convolve, forward_plane, multiply
from digits.network.fast.register import LANES, Array, compiled, inlined


@compiled
def forward(piece: Piece, n: int) -> None:
    """From the statistics of convolution n - 1 to those of convolution n.

    From the images if n is 0, and to the logits if there is no such convolution.
    """
    net, at = piece.net, 1
    if n == 0:
        for octet in range(piece.first, piece.last):
            _read(piece, octet, net.plan[0].window, net.plan[1])
    else:
        at = net.convolutions[n - 1] + 1
        layer, after = net.plan[at - 1], net.plan[at]
        for k in range(layer.outputs):
            channel = channel_of(piece, layer, k)
            y, x = layer.y + k * layer.y_plane, after.x + k * after.plane
            for octet in range(piece.first, piece.last):
                normalise(layer, net.features[octet], y, channel, x, after)
    if n < len(net.convolutions):
        _convolve(piece, net.plan[at])
        return
    _classify(piece, at)


@compiled
def _read(piece: Piece, octet: int, window: int, layer: Any) -> None:
    """Put eight images side by side, pooled if a pool comes first; unused lanes are 0."""
    f, images = piece.net.features[octet], piece.job.images
    used, begin = lanes_used(piece, octet), piece.begin + octet * LANES
    height = images.shape[1] // layer.inputs
    for c in range(layer.inputs):
        for r in range(layer.size):
            row = c * height + window * r
            for p in range(layer.size):
                at = layer.x + c * layer.plane + r * layer.pitch + p * LANES
                for lane in range(used):
                    value = images[begin + lane, row, window * p]
                    if window > 1:
                        for a in range(window):
                            for b in range(window):
                                value = max(value, images[begin + lane, row + a, window * p + b])
                    f[at + lane] = value
                for lane in range(used, LANES):
                    f[at + lane] = 0


@inlined
def _convolve(piece: Piece, layer: Any) -> None:
    """Convolve, and add up the moments."""
    net = piece.net
    for k in range(layer.outputs):
        plane = forward_plane(layer, k)
        sums = net.sums[piece.slice, layer.channel + k]
        for octet in range(piece.first, piece.last):
            f = net.features[octet]
            convolve(f, net.weights, plane)
            if piece.job.mode != CLASSIFY:
                total, squares = moments(f, plane.target, layer, sums[0], lanes_used(piece, octet))
                sums[1] += total
                sums[2] += squares


@compiled
def statistics(net: Network, images: int, layer: Any, k: int) -> Any:
    """Mean and biased variance of a channel over a batch, without the convolution's bias."""
    offset, square = 0.0, 0.0
    for number in range(SLICES):
        offset += net.sums[number, layer.channel + k, 1]
        square += net.sums[number, layer.channel + k, 2]
    count = images * layer.y_size * layer.y_size
    offset /= count
    centre = net.sums[0, layer.channel + k, 0]
    return centre + offset, max(square / count - offset * offset, 0.0)


@compiled
def channel_of(piece: Piece, layer: Any, k: int) -> Channel:
    """BatchNorm of a channel: by the batch's statistics, or to classify by the running ones."""
    net, at = piece.net, 2 * layer.channel + k
    mean: Any = np.float64(net.running[at]) - bias_of(net, layer, k)
    variance = np.float64(net.running[at + layer.outputs])
    if piece.job.mode != CLASSIFY:
        mean, variance = statistics(net, piece.images, layer, k)
    inverse = 1 / np.sqrt(variance + EPS)
    scale = inverse * net.weights[layer.gamma + k]
    shift = net.weights[layer.gamma + layer.outputs + k] - mean * scale
    return Channel(mean, inverse, scale, shift)


@compiled
def _classify(piece: Piece, at: int) -> None:
    """The layers after the last convolution, from that at place `at` in the plan on."""
    net = piece.net
    end = net.plan[len(net.plan) - 1]
    for octet in range(piece.first, piece.last):
        for place in range(at, len(net.plan) - 1):
            layer, after = net.plan[place], net.plan[place + 1]
            if layer.kind == AVERAGE:
                _average(net.features[octet], layer, after)
            else:
                _linear(piece, octet, layer, after)
        for lane in range(lanes_used(piece, octet)):
            for j in range(end.inputs):
                logit = net.features[octet, end.x + j * LANES + lane]
                piece.job.logits[piece.begin + octet * LANES + lane, j] = logit


@compiled
def _average(f: Array, layer: Any, after: Any) -> None:
    """The mean of every channel."""
    share = splat(f, 1 / (layer.size * layer.size))
    for c in range(layer.inputs):
        total, x = splat(f, 0.0), layer.x + c * layer.plane
        for p in range(layer.size * layer.size):
            total = total + load(f, x + p * LANES)
        store(f, after.x + c * LANES, total * share)


@compiled
def _linear(piece: Piece, octet: int, layer: Any, after: Any) -> None:
    """Dropout, a linear layer, and ReLU unless it returns the logits."""
    f, weights = piece.net.features[octet], piece.net.weights
    drop(piece, octet, layer, f, layer.x)
    inputs, outputs = layer.inputs, layer.outputs
    multiply(f, weights, Product(layer.x, inputs, after.x, outputs, layer.w, 1, inputs))
    zero = splat(f, 0.0)
    for j in range(layer.outputs):
        at = after.x + j * LANES
        value = load(f, at) + splat(f, weights[layer.bias + j])
        if after.kind != LOGITS:
            value = where_greater(value, zero, value, zero)
        store(f, at, value)


@compiled
def drop(piece: Piece, octet: int, layer: Any, f: Array, at: int) -> None:
    """Multiply what stands at `at` by the dropout masks of a linear layer, if there are any."""
    job = piece.job
    if job.mode != TRAIN or job.masks.size == 0:
        return
    mask = piece.begin * job.mask_size + piece.images * layer.mask + octet * LANES * layer.inputs
    for i in range(layer.inputs):
        for lane in range(lanes_used(piece, octet)):
            f[at + i * LANES + lane] *= job.masks[mask + lane * layer.inputs + i]
