"""The fused step is torch's four layers, in value and in gradient."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stages.lib.fused import conv_norm_pool

SHAPES = [
    # (inputs, outputs, size, batch): those of the described network, then odd and tiny ones
    (1, 8, 28, 128),
    (8, 16, 14, 128),
    (16, 32, 7, 128),
    (1, 1, 28, 5),
    (3, 5, 9, 4),
    (8, 12, 3, 2),
    (4, 8, 2, 3),
]


def plain(images: torch.Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> torch.Tensor:
    return F.max_pool2d(F.relu(norm(conv(images))), 2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 5e-5)])
def test_value_gradients_and_statistics_are_torchs(
    shape: tuple[int, int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    inputs, outputs, size, batch = shape
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv, norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
    with torch.no_grad():
        norm.weight.uniform_(-1.5, 1.5, generator=generator)
        norm.bias.uniform_(-0.5, 0.5, generator=generator)
    images = torch.randn(batch, inputs, size, size, generator=generator, dtype=torch.float64)
    upstream = torch.randn(
        batch, outputs, size // 2, size // 2, generator=generator, dtype=torch.float64
    )

    def everything(step: object, dtype: torch.dtype) -> list[torch.Tensor]:
        layers = copy.deepcopy(nn.ModuleList([conv, norm])).to(dtype)
        layers = layers.to(memory_format=torch.channels_last)
        leaf = images.to(dtype).clone(memory_format=torch.channels_last).requires_grad_()
        output = step(leaf, *layers)  # type: ignore[operator]
        output.backward(upstream.to(dtype))
        gradients = [leaf.grad, *(weight.grad for weight in layers.parameters())]
        return [output, *gradients, *layers.buffers()]

    truth = everything(plain, torch.float64)
    found = everything(conv_norm_pool, dtype)
    for index, (ours, theirs) in enumerate(zip(found, truth, strict=True)):
        error = (ours.double() - theirs.double()).norm()
        assert error <= tolerance * max(theirs.double().norm(), 1), index


def test_the_bias_gets_a_gradient_of_zero() -> None:
    with torch.random.fork_rng(devices=[]):
        conv, norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
    conv_norm_pool(torch.ones(2, 1, 4, 4).tril(), conv, norm).sum().backward()
    assert torch.equal(conv.bias.grad, torch.zeros(4)), "so that weight decay still acts on it"
