"""Convolution, BatchNorm, max-pooling and ReLU as one differentiable step, for training on a CPU.

The same function and gradients as the four layers of torch one after the other, in fewer
passes over memory; tests/lib/test_fused.py compares them, benchmarks/notes.md has the times.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

aten = torch.ops.aten


def conv_norm_pool(images: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """`relu(max_pool2d(norm(conv(images)), 2))` in training mode, running statistics included.

    Args:
        images: floating point `(N, C, H, W)`, fastest in channels_last.
        conv: 3x3 with padding 1 and a bias, its weights in channels_last.
        norm: with running statistics and a momentum.

    Returns:
        `(N, K, H // 2, W // 2)`, channels_last.
    """
    output: Tensor
    output, mean, variance = _ConvNormPool.apply(  # pyright: ignore
        images, conv.weight, conv.bias, norm.weight, norm.bias, norm.eps
    )
    count = images.numel() // images.shape[1]
    with torch.no_grad():
        for kept, batch in (
            (norm.running_mean, mean),
            (norm.running_var, variance * (count / (count - 1))),
        ):
            kept.lerp_(batch, norm.momentum)  # pyright: ignore
        norm.num_batches_tracked += 1  # pyright: ignore
    return output


class _ConvNormPool(Function):
    """The step itself; returns the output and the batch's mean and biased variance by channel.

    Three exact rewrites save the time. BatchNorm is monotone in each channel if gamma >= 0, so
    it can follow the pool, where it has a quarter of the work; a negative gamma is made
    positive by turning the sign of the channel's filter. Its gradient is affine in the
    convolution's output everywhere, plus the pooled gradient at the maxima. And a bias before
    BatchNorm moves nothing but the mean, so that its gradient is zero.
    """

    @staticmethod
    def forward(  # pyright: ignore
        ctx: Any,
        images: Tensor,
        filters: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        sign = torch.ones_like(gamma).copysign_(gamma)
        filters = filters * sign.view(-1, 1, 1, 1)
        y = F.conv2d(images, filters, padding=1).contiguous(memory_format=torch.channels_last)
        mean, variance = _statistics(y)
        inverse = (variance + eps).rsqrt_()
        scale = gamma * sign * inverse
        pooled, index = aten.max_pool2d_with_indices(y, [2, 2])
        output = _affine(pooled, scale, beta - mean * scale).relu_()
        ctx.save_for_backward(images, filters, sign, y, pooled, index, output, mean, inverse, scale)
        ctx.set_materialize_grads(False)
        batch_mean = torch.addcmul(bias, mean, sign)
        ctx.mark_non_differentiable(batch_mean, variance)
        return output, batch_mean, variance

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:  # pyright: ignore
        images, filters, sign, y, pooled, index, output, mean, inverse, scale = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad = aten.threshold_backward(grad, output, 0)
        grad_beta = _pixels(grad).sum(0)
        grad_gamma = ((_pixels(grad) * _pixels(pooled)).sum(0) - mean * grad_beta) * inverse
        share = scale / (y.numel() // y.shape[1])
        slope = -share * inverse * grad_gamma
        grad_y = _affine(y, slope, -share * grad_beta - slope * mean)
        grad_y += aten.max_pool2d_with_indices_backward(
            _affine(grad, scale, torch.zeros_like(scale)),
            y, [2, 2], [2, 2], [0, 0], [1, 1], False, index,
        )  # fmt: skip
        wanted = [ctx.needs_input_grad[0], True, False]
        grad_images, grad_filters, _no_bias = aten.convolution_backward(
            grad_y, images, filters, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
        )
        grad_filters *= sign.view(-1, 1, 1, 1)
        return grad_images, grad_filters, torch.zeros_like(sign), grad_gamma * sign, grad_beta, None


def _statistics(y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance by channel: of every column of pixels first, then of all.

    Long rows are five times as fast as torch's own pass over channels_last, and rounding errors
    grow with the logarithm of the rows only.
    """
    shape = y.shape[3], y.shape[1]
    means, variances = torch.batch_norm_update_stats(_rows(y), None, None, 0.0)
    means, variances = means.view(shape), variances.view(shape)
    mean = means.mean(0)
    return mean, variances.add((means - mean).square_()).mean(0)


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`x * scale + shift` by channel, along rows, which are longer vectors than channels."""
    count, channels, height, width = x.shape
    scale, shift = (each.expand(width, channels).reshape(-1) for each in (scale, shift))
    rows = torch.addcmul(shift, _rows(x), scale)
    return rows.view(count, height, width, channels).permute(0, 3, 1, 2)


def _pixels(x: Tensor) -> Tensor:
    """A channels_last `(N, C, H, W)` seen as `(N H W, C)`."""
    return x.permute(0, 2, 3, 1).view(-1, x.shape[1])


def _rows(x: Tensor) -> Tensor:
    """A channels_last `(N, C, H, W)` seen as `(N H, W C)`."""
    return x.permute(0, 2, 3, 1).view(-1, x.shape[3] * x.shape[1])
