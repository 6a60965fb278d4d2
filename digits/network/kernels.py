"""BatchNorm, max-pooling and ReLU of a batch in single passes over memory, and their gradient.

Images are rows: `(N, H, W * C)` arrays whose last axis is a channels_last row of pixels, so that
inner loops are long and the compiler can vectorise them. Without Numba's fast-math every sum is
added in the order written here, which gives the same bits on every processor. Sums are in the dtype
of y, float64 over the batch. Keep this in one file: Numba's cache tracks only the file itself.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

compiled: Any = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def forward(
    y: Array, gamma: Array, beta: Array, eps: float, pool: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """`relu(max_pool2d(batch_norm(y), 2))` with the batch's own statistics; the pool is optional.

    BatchNorm is monotone in each channel, so that it can follow the pool, where it has a quarter
    of the work; where gamma is negative, the pool takes the minimum.

    Args:
        y: floating point `(N, H, W * C)`.
        gamma: scale by channel `(C,)`.
        beta: shift by channel `(C,)`.
        eps: added to the variance by BatchNorm.
        pool: whether to take the largest value of each 2x2 window.

    Returns:
        output `(N, H // 2, W // 2 * C)`; the pool of y, shaped alike; where in its image each
        value of the pool stood, int32, shaped alike; mean and biased variance of y `(C,)`.
        Without a pool, output is shaped as y, the pool is y itself, and where is empty.
    """
    images, height, row = y.shape
    channels = len(gamma)
    pooled, where = y, np.empty((images, 0, row), np.int32)
    if pool:
        pooled = np.empty((images, height // 2, row // channels // 2 * channels), y.dtype)
        where = np.empty(pooled.shape, np.int32)
    mean, variance = np.empty(channels, y.dtype), np.empty(channels, y.dtype)
    sign, centre = np.empty(row, y.dtype), np.empty(row, y.dtype)
    for j in range(row):
        sign[j] = -1 if gamma[j % channels] < 0 else 1
    _first_mean(y[0], channels, centre)

    sums, squares = np.zeros(row), np.zeros(row)
    best, place = np.empty(row, y.dtype), np.empty(row, np.int32)
    for i in range(images):
        _add_deviations(y[i], centre, sums, squares)
        if pool:
            _pool(y[i], channels, sign, best, place, pooled[i], where[i])

    scale, shift = np.empty(row, y.dtype), np.empty(row, y.dtype)
    count = images * height * (row // channels)
    for k in range(channels):
        offset, square = 0.0, 0.0
        for j in range(k, row, channels):
            offset += sums[j]
            square += squares[j]
        offset /= count
        mean[k] = centre[k] + offset
        variance[k] = max(square / count - offset * offset, 0.0)
        for j in range(k, row, channels):
            scale[j] = gamma[k] / np.sqrt(variance[k] + eps)
            shift[j] = beta[k] - mean[k] * scale[j]
    output = np.empty_like(pooled)
    for i in range(images):
        _normalise(pooled[i], scale, shift, output[i])
    return output, pooled, where, mean, variance


@compiled
def backward(
    grad: Array, y: Array, gamma: Array, eps: float, *results: Array
) -> tuple[Array, Array, Array]:
    """The gradients of `forward`'s inputs, from that of its output and from all that it returned.

    The gradient by y is affine in y everywhere, plus the output's gradient at the maxima.

    Returns:
        the gradients by y, gamma and beta, shaped like them.
    """
    output, pooled, where, mean, variance = results
    images, height, row = y.shape
    channels = len(gamma)
    half = pooled.shape[2]
    scale = np.empty(row, y.dtype)
    for j in range(row):
        scale[j] = gamma[j % channels] / np.sqrt(variance[j % channels] + eps)
    sums, dots = np.zeros(half), np.zeros(half)
    scaled = np.empty_like(pooled)
    for i in range(images):
        _add_gradients(grad[i], output[i], pooled[i], scale, sums, dots, scaled[i])

    grad_gamma, grad_beta = np.empty(channels, y.dtype), np.empty(channels, y.dtype)
    slope, constant = np.empty(row, y.dtype), np.empty(row, y.dtype)
    count = images * height * (row // channels)
    for k in range(channels):
        by_beta, by_gamma = 0.0, 0.0
        for j in range(k, half, channels):
            by_beta += sums[j]
            by_gamma += dots[j]
        inverse = 1 / np.sqrt(variance[k] + eps)
        by_gamma = (by_gamma - mean[k] * by_beta) * inverse
        grad_gamma[k], grad_beta[k] = by_gamma, by_beta
        for j in range(k, row, channels):
            slope[j] = -scale[k] * inverse * by_gamma / count
            constant[j] = -scale[k] * by_beta / count - slope[j] * mean[k]
    grad_y = np.empty_like(y)
    for i in range(images):
        _spread(y[i], slope, constant, scaled[i], where[i], grad_y[i])
    return grad_y, grad_gamma, grad_beta


@compiled
def _first_mean(image: Array, channels: int, centre: Array) -> None:
    """The mean of one image by channel: near enough to the batch's to measure deviations from."""
    height, row = image.shape
    for k in range(channels):
        total = 0.0
        for a in range(height):
            for j in range(k, row, channels):
                total += image[a, j]
        for j in range(k, row, channels):
            centre[j] = total / (height * (row // channels))


@compiled
def _add_deviations(image: Array, centre: Array, sums: Array, squares: Array) -> None:
    """Add up deviations from the centre and their squares, by column."""
    height, row = image.shape
    total, square = np.zeros(row, image.dtype), np.zeros(row, image.dtype)
    for a in range(height):
        values = image[a]
        for j in range(row):
            deviation = values[j] - centre[j]
            total[j] += deviation
            square[j] += deviation * deviation
    sums += total
    squares += square


@compiled
def _pool(
    image: Array, channels: int, sign: Array, best: Array, place: Array, pooled: Array, where: Array
) -> None:
    """The largest `sign * value` of each 2x2 window and its place; best and place are scratch.

    Slices stand where an index would be a sum: Numba checks whether a sum is negative, and that
    check prevents vectorisation.
    """
    row = image.shape[1]
    for a in range(len(pooled)):
        upper, lower = image[2 * a], image[2 * a + 1]
        up, low = np.int32(2 * a * row), np.int32((2 * a + 1) * row)
        for j in range(row):
            u, v = upper[j] * sign[j], lower[j] * sign[j]
            best[j] = v if v > u else u
            place[j] = low + j if v > u else up + j
        for begin in range(0, pooled.shape[1], channels):
            left, right = best[2 * begin :], best[2 * begin + channels :]
            left_place, right_place = place[2 * begin :], place[2 * begin + channels :]
            values, at = pooled[a, begin:], where[a, begin:]
            for k in range(channels):
                better = right[k] > left[k]
                values[k] = (right[k] if better else left[k]) * sign[k]
                at[k] = right_place[k] if better else left_place[k]


@compiled
def _normalise(pooled: Array, scale: Array, shift: Array, output: Array) -> None:
    zero = pooled.dtype.type(0)
    for a in range(len(pooled)):
        values, out = pooled[a], output[a]
        for j in range(len(values)):
            value = values[j] * scale[j] + shift[j]
            out[j] = value if value > zero else zero


@compiled
def _add_gradients(
    grad: Array, output: Array, pooled: Array, scale: Array, sums: Array, dots: Array, scaled: Array
) -> None:
    """Pass the gradient through ReLU; add it up, and its product with the pool, by column."""
    zero = grad.dtype.type(0)
    total, product = np.zeros(len(sums), grad.dtype), np.zeros(len(sums), grad.dtype)
    for a in range(len(grad)):
        gradient, out, values, by_scale = grad[a], output[a], pooled[a], scaled[a]
        for j in range(len(gradient)):
            passed = gradient[j] if out[j] > zero else zero
            total[j] += passed
            product[j] += passed * values[j]
            by_scale[j] = passed * scale[j]
    sums += total
    dots += product


@compiled
def _spread(
    image: Array, slope: Array, constant: Array, scaled: Array, where: Array, grad: Array
) -> None:
    """`image * slope + constant`, plus the scaled gradient: at the maxima, or all over."""
    for a in range(len(image)):
        values, out = image[a], grad[a]
        for j in range(len(values)):
            out[j] = values[j] * slope[j] + constant[j]
    if len(where) == 0:
        grad += scaled
    flat = grad.reshape(grad.size)
    for a in range(len(where)):
        places, values = where[a], scaled[a]
        for j in range(len(values)):
            flat[np.uint32(places[j])] += values[j]
