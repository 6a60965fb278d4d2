"""Convolution, BatchNorm, ReLU and max-pooling as one differentiable step, for training on a CPU.

The same function and gradients as torch's layers one after the other, in fewer passes over
memory; tests/unit/network/test_fused.py compares them, tools/benchmarks/notes.md has the times.
Convolutions are torch's; the rest is in kernels.py.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

# OMP_NUM_THREADS, or the cores that this process may use. Only convolutions run on more than one
# thread: they gain most, and each barrier between threads costs time on a busy machine.
THREADS = min(2, torch.get_num_threads())


def prepare_processor() -> None:
    """Run on one thread, and make glibc keep freed memory from step to step.

    More threads would change bits; convolutions take two where they do not. Freeing one large
    block raises the sizes from which malloc returns memory to the system: 10 page faults a step
    instead of 1,300.
    """
    torch.set_num_threads(1)
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def conv_norm_relu(images: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, pool: bool) -> Tensor:
    """`relu(norm(conv(images)))` in training mode, running statistics included.

    Args:
        images: floating point `(N, C, H, W)`, fastest in channels_last.
        conv: 3x3 with padding 1 and a bias, its weights in channels_last.
        norm: with running statistics and a momentum.
        pool: whether `max_pool2d(..., 2)` follows.

    Returns:
        `(N, K, H, W)` or `(N, K, H // 2, W // 2)`, channels_last; the same bits whatever the
        number of threads.
    """
    output: Tensor
    output, mean, variance = _ConvNormRelu.apply(  # pyright: ignore
        images, conv.weight, conv.bias, norm.weight, norm.bias, norm.eps, pool
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


class _ConvNormRelu(Function):
    """The step itself; returns the output and the batch's mean and biased variance by channel."""

    @staticmethod
    def forward(  # pyright: ignore
        ctx: Any,
        images: Tensor,
        filters: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
        pool: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        from digits.network import kernels  # Numba takes half a second that only training needs

        (convolved,) = _fastest(_convolve, images, filters)
        y = _rows(convolved)
        output, *rest = kernels.forward(y, gamma.numpy(), beta.numpy(), eps, pool)
        ctx.y, ctx.eps, ctx.results = y, eps, (output, *rest)
        ctx.save_for_backward(images, filters, gamma)
        ctx.set_materialize_grads(False)
        *_, mean, variance = map(torch.from_numpy, rest)
        mean = mean + bias  # which BatchNorm subtracts again
        ctx.mark_non_differentiable(mean, variance)
        return _images(output, len(gamma)), mean, variance

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:  # pyright: ignore
        from digits.network import kernels

        images, filters, gamma = ctx.saved_tensors
        grad_y, grad_gamma, grad_beta = kernels.backward(
            _rows(grad), ctx.y, gamma.numpy(), ctx.eps, *ctx.results
        )
        grad_y = _images(grad_y, len(grad_gamma))
        gradients = _gradients if ctx.needs_input_grad[0] else _gradient_by_filters
        grad_images, grad_filters = _fastest(gradients, grad_y, images, filters)
        grad_gamma, grad_beta = torch.from_numpy(grad_gamma), torch.from_numpy(grad_beta)
        # a bias before BatchNorm moves nothing but the mean: its gradient is zero
        grad_bias = torch.zeros_like(grad_beta)
        return grad_images, grad_filters, grad_bias, grad_gamma, grad_beta, None, None


def _convolve(images: Tensor, filters: Tensor) -> tuple[Tensor]:
    return (F.conv2d(images, filters, padding=1),)


def _gradients(
    grad: Tensor, images: Tensor, filters: Tensor, by_images: bool = True
) -> tuple[Tensor | None, Tensor]:
    """The gradients of `_convolve` by images, if wanted, and by filters."""
    return torch.ops.aten.convolution_backward(
        grad, images, filters, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
        [by_images, True, False],
    )[:2]  # fmt: skip


def _gradient_by_filters(grad: Tensor, images: Tensor, filters: Tensor) -> tuple[None, Tensor]:
    return None, _gradients(grad, images, filters, by_images=False)[1]


Operation = Callable[..., tuple[Any, ...]]  # of tensors, or None
Layout = tuple[torch.Size, tuple[int, ...]]


def _fastest(operation: Operation, *inputs: Tensor) -> tuple[Any, ...]:
    """The operation on as many threads as leave its bits alone."""
    layouts = tuple((each.shape, each.stride()) for each in inputs)
    return _on(_safe_threads(operation, layouts, inputs[0].dtype), operation, inputs)


@cache
def _safe_threads(operation: Operation, layouts: tuple[Layout, ...], dtype: torch.dtype) -> int:
    """THREADS, if they give the operation the same bits as one thread, or else 1.

    Tried on random numbers, once for each layout. With few channels or an odd number of blocks of
    channels, threads share the sum over the batch in a weight gradient, which rounds differently.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(
        torch.empty_strided(*layout, dtype=dtype).normal_(generator=generator) for layout in layouts
    )
    one, more = _on(1, operation, inputs), _on(THREADS, operation, inputs)
    same = (a is b or torch.equal(a, b) for a, b in zip(one, more, strict=True))
    return THREADS if all(same) else 1


def _on(threads: int, operation: Operation, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return operation(*inputs)
    finally:
        torch.set_num_threads(before)


def _rows(x: Tensor) -> np.ndarray[Any, Any]:
    """`(N, C, H, W)` as `(N, H, W C)`; shares memory if it is channels_last."""
    return x.detach().permute(0, 2, 3, 1).contiguous().flatten(2).numpy()


def _images(rows: np.ndarray[Any, Any], channels: int) -> Tensor:
    """`(N, H, W C)` as a channels_last `(N, C, H, W)` that shares its memory."""
    return torch.from_numpy(rows).unflatten(2, (-1, channels)).permute(0, 3, 1, 2)
