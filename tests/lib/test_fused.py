"""The fused step is torch's layers, in value and in gradient."""

import copy
import hashlib
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stages.lib import fused
from stages.lib.fused import conv_norm_relu
from tests.project import ROOT

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


def plain(images: torch.Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, pool: bool) -> torch.Tensor:
    found = F.relu(norm(conv(images)))
    return F.max_pool2d(found, 2) if pool else found


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 5e-5)])
def test_value_gradients_and_statistics_are_torchs(
    shape: tuple[int, int, int, int], dtype: torch.dtype, tolerance: float, pool: bool
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
    side = size // 2 if pool else size
    upstream = torch.randn(batch, outputs, side, side, generator=generator, dtype=torch.float64)

    def everything(step: object, dtype: torch.dtype) -> list[torch.Tensor]:
        layers = copy.deepcopy(nn.ModuleList([conv, norm])).to(dtype)
        layers = layers.to(memory_format=torch.channels_last)
        leaf = images.to(dtype).clone(memory_format=torch.channels_last).requires_grad_()
        output = step(leaf, *layers, pool)  # type: ignore[operator]
        output.backward(upstream.to(dtype))
        gradients = [leaf.grad, *(weight.grad for weight in layers.parameters())]
        return [output, *gradients, *layers.buffers()]

    truth = everything(plain, torch.float64)
    found = everything(conv_norm_relu, dtype)
    for index, (ours, theirs) in enumerate(zip(found, truth, strict=True)):
        error = (ours.double() - theirs.double()).norm()
        assert error <= tolerance * max(theirs.double().norm(), 1), index


def test_the_bias_gets_a_gradient_of_zero() -> None:
    with torch.random.fork_rng(devices=[]):
        conv, norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
    conv_norm_relu(torch.ones(2, 1, 4, 4).tril(), conv, norm, True).sum().backward()
    assert torch.equal(conv.bias.grad, torch.zeros(4)), "so that weight decay still acts on it"


def digest(inputs: int = 8, outputs: int = 16, size: int = 14, batch: int = 64) -> str:
    """Of all that a step computes, to the bit."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv, norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
    layers = nn.ModuleList([conv, norm]).to(memory_format=torch.channels_last)
    images = torch.randn(batch, inputs, size, size, generator=generator)
    images = images.to(memory_format=torch.channels_last).requires_grad_(inputs > 1)
    output = conv_norm_relu(images, conv, norm, True)
    output.backward(torch.randn(output.shape, generator=generator))
    found = [output.detach(), *(weight.grad for weight in layers.parameters()), *layers.buffers()]
    found += [images.grad] if inputs > 1 else []
    content = b"".join(each.contiguous().numpy().tobytes() for each in found)
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("batch", [128, 96, 37, 2])
@pytest.mark.parametrize(
    "shape", [(1, 8, 28), (8, 16, 14), (16, 32, 7), (8, 8, 28), (4, 8, 14), (24, 24, 14), (3, 5, 9)]
)
def test_two_threads_give_the_bits_of_one(
    shape: tuple[int, int, int], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(fused, "THREADS", threads)
        fused._safe_threads.cache_clear()
        found.append(digest(*shape, batch))
    fused._safe_threads.cache_clear()
    assert found[0] == found[1]


def test_only_what_keeps_its_bits_runs_on_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the test above could not fail, or there would be nothing to gain."""
    monkeypatch.setattr(fused, "THREADS", 2)

    def threads(inputs: int, outputs: int, size: int) -> int:
        def layout(*shape: int) -> fused.Layout:
            empty = torch.empty(shape, memory_format=torch.channels_last)
            return empty.shape, empty.stride()

        fused._safe_threads.cache_clear()
        grad, images = layout(128, outputs, size, size), layout(128, inputs, size, size)
        layouts = grad, images, layout(outputs, inputs, 3, 3)
        return fused._safe_threads(fused._gradients, layouts, torch.float32)

    assert threads(8, 16, 14) == 2
    assert threads(16, 32, 7) == 2
    assert threads(8, 8, 28) == 1
    fused._safe_threads.cache_clear()


def test_the_bits_do_not_depend_on_the_processor_that_numba_compiles_for() -> None:
    command = "from tests.lib.test_fused import digest; print(digest())"
    found = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env=os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == digest()
