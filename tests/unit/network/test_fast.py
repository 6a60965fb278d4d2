"""The fast path is torch's layers, in value and in gradient, with the same bits everywhere."""

import copy
import hashlib
import os
import subprocess
import sys

import pytest
import torch

from digits.core.data_shape import MNIST, DataShape
from digits.network.digitnet import DigitNet
from digits.network.fast.path import FastPath, is_supported
from digits.training.metrics import loss
from tests.project import ROOT
from tests.unit.networks import Blocks, network, seeded

# blocks, hidden and images: the recipes' shapes, then odd channels, odd sizes, images left over
LEAVES = DataShape(21, 3, ("oak", "elm", "yew"), "pad")
NETWORKS: list[tuple[Blocks, int | None, int]] = [
    ([8, "pool", 16, "pool", 32, "pool"], 32, 24),
    ([8, 8, "pool", 12, "pool", 14, "pool"], None, 20),
    ([3, 5, "pool", 7, "pool", 9, "pool", 4, "pool", 6], None, 77),
    ([1, "pool", 2, "pool", "pool", 3], 7, 9),
    (["pool", 5, "pool", 13, 2], 11, 3),
    (["pool", "pool", "pool", 3, 17], 1, 65),
    ([2, "pool", "pool", "pool", "pool", 6], 9, 2),
    ([4], None, 1),
    # without padding, and the mean of every channel
    ([5, "6 valid", "pool", "7 valid", "gap"], None, 21),
    (["9 valid", "pool", "pool", 3, "4 valid", "2 valid", "gap"], 6, 10),
    (["3 valid", "pool", "pool", "8 valid", "5 valid"], 4, 17),
]
SHAPED = [(*each, MNIST) for each in NETWORKS] + [
    # in colour, of an odd size, with other classes
    ([8, "pool", "7 valid", "gap"], None, 19, LEAVES),
    (["pool", 5, "pool", 6], 9, 12, LEAVES),
]


def drawn_network(
    blocks: Blocks, hidden: int | None, dtype: torch.dtype, shape: DataShape = MNIST
) -> DigitNet:
    """A network whose BatchNorm is not the identity; some scales are negative.

    Convolutions have biases in networks that end without average pooling.
    """
    rng, made = seeded(), network(blocks, hidden, bias_free="gap" in blocks, shape=shape)
    made.to(dtype)
    for name, weight in made.named_parameters():
        if name.startswith("bn"):
            torch.nn.init.uniform_(weight, -1.5, 1.5, rng)
    for value in made.buffers():
        if value.is_floating_point():
            torch.nn.init.uniform_(value, 0.1, 1, rng)
    return made.train()


def images_of(
    count: int, dtype: torch.dtype, shape: DataShape = MNIST
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose left half is all alike, as paper is, and labels."""
    size = (count, shape.channels, shape.size, shape.size)
    images = torch.randn(size, generator=seeded(1), dtype=dtype)
    images[:, :, :, : shape.size // 2] = -0.4
    classes = len(shape.classes)
    return images, torch.randint(0, classes, (count,), generator=seeded(2), dtype=torch.uint8)


def step(
    made: DigitNet, images: torch.Tensor, labels: torch.Tensor, threads: int = 2
) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits of a step that moves no weight, and its gradient: the first moment without a past.

    With a mask for dropout.
    """
    moment = torch.zeros(sum(w.numel() for w in made.parameters()), dtype=images.dtype)
    path = FastPath(made, moment, torch.zeros_like(moment), threads)
    masks = torch.cat([each.flatten() for each in masks_of(path.masked, images)])
    still = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    logits = path.train(images, labels, len(images), masks, still, 0)
    path.finish()
    return logits, moment


def masks_of(features: list[int], images: torch.Tensor) -> list[torch.Tensor]:
    rng = seeded(3)
    return [
        torch.rand(len(images), each, generator=rng).to(images.dtype).round() * 2
        for each in features
    ]


@pytest.mark.parametrize(("blocks", "hidden", "count", "shape"), SHAPED)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-2)])
def test_a_step_is_torchs(
    blocks: Blocks,
    hidden: int | None,
    count: int,
    shape: DataShape,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    ours = drawn_network(blocks, hidden, dtype, shape)
    plain = copy.deepcopy(ours).double()
    images, labels = images_of(count, torch.float64, shape)
    linear = [m.in_features for m in plain.modules() if isinstance(m, torch.nn.Linear)]
    masks = iter(masks_of(linear, images))
    plain.dropout.forward = lambda input, rng=None: input * next(masks)  # type: ignore[method-assign]
    expected = plain(images)
    loss(expected, labels).backward()

    logits, gradient = step(ours, images.to(dtype), labels)

    assert (logits - expected).abs().max() <= tolerance * expected.abs().max()
    parts = gradient.double().split([weight.numel() for weight in ours.parameters()])
    for part, (name, weight) in zip(parts, plain.named_parameters(), strict=True):
        theirs = weight.grad.flatten()
        if "conv" in name and "bias" in name:
            assert not part.any(), "BatchNorm takes it away again"
        else:
            assert (part - theirs).norm() <= tolerance * max(theirs.norm(), 1e-3), name
    for (name, value), theirs in zip(ours.named_buffers(), plain.buffers(), strict=True):
        assert torch.allclose(value.double(), theirs.double(), rtol=tolerance), name


@pytest.mark.parametrize(("blocks", "hidden", "count", "shape"), SHAPED)
def test_classifying_is_torchs_evaluation(
    blocks: Blocks, hidden: int | None, count: int, shape: DataShape
) -> None:
    made = drawn_network(blocks, hidden, torch.float64, shape)
    images, _ = images_of(count, torch.float64, shape)
    expected = copy.deepcopy(made).eval()(images)
    moment = torch.zeros(sum(w.numel() for w in made.parameters()), dtype=torch.float64)
    path = FastPath(made, moment, moment.clone())
    for batch in (count, 7):
        assert torch.allclose(path.classify(images, batch), expected, rtol=1e-9)


def test_subnormal_weights_are_zero() -> None:
    """A processor takes many times as long with them."""

    def step_from(weight: float) -> tuple[torch.Tensor, torch.Tensor]:
        made = drawn_network([3, "pool", 4], None, torch.float32)
        torch.nn.init.constant_(made.get_parameter("conv1.weight"), weight)
        return step(made, *images_of(20, torch.float32))

    assert all(map(torch.equal, step_from(0), step_from(1e-39)))


def digest(threads: int = 2, batch: int = 37) -> str:
    """A digest of what some steps leave, to the bit."""
    made = drawn_network([8, "pool", 5, "pool", 7], 6, torch.float32)
    images, labels = images_of(100, torch.float32)
    first = torch.zeros(sum(weight.numel() for weight in made.parameters()))
    second = torch.zeros_like(first)
    path = FastPath(made, first, second, threads)
    rates = torch.tensor([[0.01, 1.0, 0.9]] * -(-100 // batch), dtype=torch.float64)
    logits = path.train(images, labels, batch, torch.zeros(0), rates, 0.01)
    path.finish()
    path.collect_statistics(images[:90], 0.5)
    results = [logits, path.classify(images), first, second, *made.state_dict().values()]
    return hashlib.sha256(b"".join(each.numpy().tobytes() for each in results)).hexdigest()


@pytest.mark.parametrize("batch", [1, 8, 37, 100])
def test_any_number_of_threads_gives_the_same_bits(batch: int) -> None:
    alone = digest(1, batch)
    assert [digest(threads, batch) for threads in (2, 3, 4, 8, 16) for _ in range(3)] == [
        alone
    ] * 15


def test_the_bits_do_not_depend_on_the_processor_that_numba_compiles_for() -> None:
    code = "import digits; from tests.unit.network.test_fast import digest; print(digest())"
    generic = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, cwd=ROOT, env=generic, stdout=subprocess.PIPE, check=True)
    assert printed.stdout.decode().strip() == digest()


def test_it_is_for_float32_on_a_cpu() -> None:
    made = network([4, "pool"])
    assert is_supported(made)
    assert not is_supported(network([4, "pool"]).double())
    with torch.device("meta"):
        assert not is_supported(network([4, "pool"]))
    assert is_supported(network([4, "gap"]))
    assert not is_supported(network([4, "gap", 5])), "only linear layers may follow the mean"
