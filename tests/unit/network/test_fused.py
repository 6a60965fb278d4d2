"""The fused step is torch's layers, in value and in gradient."""

import copy
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from digits.network import fused
from digits.network.fused import conv_norm_relu
from tests.project import ROOT
from tests.unit.networks import seeded

SHAPES = [
    # (inputs, outputs, size, batch): those of the described network, then odd and tiny ones
    (1, 8, 28, 128), (8, 16, 14, 128), (16, 32, 7, 128),
    (1, 1, 28, 5), (3, 5, 9, 4), (8, 12, 3, 2), (4, 8, 2, 3),
]  # fmt: skip


def plain(images: torch.Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, pool: bool) -> torch.Tensor:
    features = F.relu(norm(conv(images)))
    return F.max_pool2d(features, 2) if pool else features


def layers(inputs: int, outputs: int) -> nn.ModuleList:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.ModuleList([nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)])


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 5e-5)])
def test_value_gradients_and_statistics_are_torchs(
    shape: tuple[int, int, int, int], dtype: torch.dtype, tolerance: float, pool: bool
) -> None:
    inputs, outputs, size, batch = shape
    rng, modules = seeded(), layers(inputs, outputs)
    with torch.no_grad():
        modules[1].weight.uniform_(-1.5, 1.5, generator=rng)
        modules[1].bias.uniform_(-0.5, 0.5, generator=rng)
    images = torch.randn(batch, inputs, size, size, generator=rng, dtype=torch.float64)
    side = size // 2 if pool else size
    upstream = torch.randn(batch, outputs, side, side, generator=rng, dtype=torch.float64)

    def everything(step: object, dtype: torch.dtype) -> list[torch.Tensor]:
        own = copy.deepcopy(modules).to(dtype).to(memory_format=torch.channels_last)
        leaf = images.to(dtype).clone(memory_format=torch.channels_last).requires_grad_()
        output = step(leaf, *own, pool)  # type: ignore[operator]
        output.backward(upstream.to(dtype))
        return [output, leaf.grad, *(weight.grad for weight in own.parameters()), *own.buffers()]

    pairs = zip(everything(conv_norm_relu, dtype), everything(plain, torch.float64), strict=True)
    for index, (ours, theirs) in enumerate(pairs):
        error = (ours.double() - theirs.double()).norm()
        assert error <= tolerance * max(theirs.double().norm(), 1), index


def test_the_bias_gets_a_gradient_of_zero() -> None:
    conv, norm = layers(1, 4)
    conv_norm_relu(torch.ones(2, 1, 4, 4).tril(), conv, norm, True).sum().backward()
    assert torch.equal(conv.bias.grad, torch.zeros(4)), "so that weight decay still acts on it"


def digest(inputs: int = 8, outputs: int = 16, size: int = 14, batch: int = 64) -> str:
    """A digest of all that a step computes, to the bit."""
    rng, modules = seeded(), layers(inputs, outputs).to(memory_format=torch.channels_last)
    images = torch.randn(batch, inputs, size, size, generator=rng)
    images = images.to(memory_format=torch.channels_last).requires_grad_(inputs > 1)
    output = conv_norm_relu(images, *modules, True)
    output.backward(torch.randn(output.shape, generator=rng))
    results = [output.detach(), *(each.grad for each in modules.parameters()), *modules.buffers()]
    results += [images.grad] if inputs > 1 else []
    content = b"".join(each.contiguous().numpy().tobytes() for each in results)
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def forgetful() -> Iterator[None]:
    """The choice of threads is made again, and not kept for other tests."""
    fused._safe_threads.cache_clear()
    yield
    fused._safe_threads.cache_clear()


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("batch", [128, 96, 37, 2])
@pytest.mark.parametrize(
    "shape", [(1, 8, 28), (8, 16, 14), (16, 32, 7), (8, 8, 28), (4, 8, 14), (24, 24, 14), (3, 5, 9)]
)
def test_two_threads_give_the_bits_of_one(
    shape: tuple[int, int, int], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "THREADS", 1)
    alone = digest(*shape, batch)
    monkeypatch.setattr(fused, "THREADS", 2)
    fused._safe_threads.cache_clear()
    assert digest(*shape, batch) == alone


@pytest.mark.usefixtures("forgetful")
def test_other_operations_run_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the test above could not fail, or there would be nothing to gain."""
    monkeypatch.setattr(fused, "THREADS", 2)

    def threads(inputs: int, outputs: int, size: int) -> int:
        shapes = (128, outputs, size, size), (128, inputs, size, size), (outputs, inputs, 3, 3)
        tensors = [torch.empty(shape, memory_format=torch.channels_last) for shape in shapes]
        layouts = tuple((tensor.shape, tensor.stride()) for tensor in tensors)
        return fused._safe_threads(fused._gradients, layouts, torch.float32)

    assert [threads(8, 16, 14), threads(16, 32, 7), threads(8, 8, 28)] == [2, 2, 1]


def test_the_bits_do_not_depend_on_the_processor_that_numba_compiles_for() -> None:
    code = "import digits; from tests.unit.network.test_fused import digest; print(digest())"
    generic = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, cwd=ROOT, env=generic, stdout=subprocess.PIPE, check=True)
    assert printed.stdout.decode().strip() == digest()
