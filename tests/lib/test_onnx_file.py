"""The ONNX file computes what the network computes, whatever the architecture."""

from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from stages.lib import model, runtime
from stages.lib.errors import UserError
from stages.lib.layers import Pool, ceilings, layers_of
from stages.lib.model import DigitNet
from stages.lib.onnx_file import WEIGHT_STEPS, encode, quantised_weights
from stages.lib.runtime import Reader
from stages.lib.splits import Split
from tests import digits

DRAWN = digits.split(60)
ARCHITECTURES = [
    ([8, "pool", 16, "pool", 32, "pool"], 32),
    (["pool", 4, 5, "pool", "pool", 6], None),
    ([3, 2], 7),
    ([1, "pool", "pool", "pool", "pool"], 1),
]
blocks = st.lists(st.one_of(st.integers(1, 6), st.just("pool")), min_size=1, max_size=7).filter(
    lambda drawn: drawn.count("pool") < 5 and set(drawn) != {"pool"}
)


def network(blocks: list[int | str], hidden: int | None, seed: int = 0) -> DigitNet:
    """A network whose BatchNorm has scales, shifts and statistics of its own."""
    random = torch.Generator().manual_seed(seed)
    made = DigitNet(blocks, hidden, 0.4, random)
    for name, value in made.state_dict().items():
        if name.startswith("bn") and value.is_floating_point():
            value.uniform_(0.5, 2, generator=random)
            if name.endswith(("bias", "mean")):
                value.sub_(1.2)
    return made.eval()


def integers_of(made: DigitNet) -> bytes:
    layers = layers_of(made)
    highest = ceilings(layers, DRAWN.normalisation(DRAWN.images.unsqueeze(1)))
    return encode(layers, DRAWN.normalisation, highest)


def floats_of(made: DigitNet) -> bytes:
    return encode(layers_of(made), DRAWN.normalisation)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(blocks=blocks, hidden=st.one_of(st.none(), st.integers(1, 9)), seed=st.integers(0, 99))
def test_floats_are_those_of_torch(blocks: list[int | str], hidden: int | None, seed: int) -> None:
    made = network(blocks, hidden, seed)
    logits, probabilities = Reader(floats_of(made))(DRAWN.images.numpy())
    expected = model.predict(made, DRAWN.images, DRAWN.normalisation)
    limit = 1e-5 * max(1, expected.abs().max().item())
    assert np.abs(logits - expected.numpy()).max() < limit
    assert np.abs(probabilities - expected.softmax(1).numpy()).max() < 1e-4


@pytest.mark.parametrize(("blocks", "hidden"), ARCHITECTURES)
def test_integers_are_close(blocks: list[int | str], hidden: int | None) -> None:
    made = network(blocks, hidden)
    logits, _ = Reader(integers_of(made))(DRAWN.images.numpy())
    expected = model.predict(made, DRAWN.images, DRAWN.normalisation).numpy()
    assert np.abs(logits - expected).max() < 0.1 * np.ptp(expected)


@pytest.mark.parametrize(("blocks", "hidden"), ARCHITECTURES)
@pytest.mark.parametrize("made_by", [floats_of, integers_of])
def test_the_batch_may_have_any_size(
    blocks: list[int | str], hidden: int | None, made_by: object
) -> None:
    read = Reader(made_by(network(blocks, hidden)))
    images = DRAWN.images.numpy()
    together, _ = read(images)
    for count in (0, 1, 7):
        logits, probabilities = read(images[:count])
        assert logits.shape == probabilities.shape == (count, 10)
        assert np.allclose(logits, together[:count], atol=1e-5)
    many, _ = read(np.concatenate([images] * 7))  # more than one batch
    assert np.allclose(many, np.concatenate([together] * 7), atol=1e-5)


def test_the_integer_file_is_smaller_and_computes_in_integers() -> None:
    made = network(*ARCHITECTURES[0])
    floats, integers = floats_of(made), integers_of(made)
    assert len(integers) < 0.4 * len(floats)
    graph = onnx.load_model_from_string(integers).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    weights = [stored[name] for name in stored if name.endswith("_weights_integers")]
    assert len(weights) == 5
    for each in weights:
        assert each.dtype == np.int8
        assert np.abs(each).reshape(len(each), -1).max(1).tolist() == [WEIGHT_STEPS] * len(each)


def test_a_dead_layer_and_a_large_bias_stay_finite() -> None:
    made = network([3, "pool", 2], 4)
    for name, value in made.state_dict().items():
        if name in ("bn1.weight", "bn1.bias", "fc1.weight"):
            value.zero_()
        if name == "fc1.bias":
            value.fill_(1e4)
    logits, _ = Reader(integers_of(made))(DRAWN.images.numpy())
    expected = model.predict(made, DRAWN.images, DRAWN.normalisation).numpy()
    assert np.abs(logits - expected).max() < 0.02 * np.abs(expected).max()


def test_a_step_is_worth_enough_for_the_bias() -> None:
    weights = np.array([[0.63, -0.1], [0.0, 0.0], [1e-12, 0.0]], np.float32)
    bias = np.array([0.1, 0.0, 5.0], np.float32)
    integers, steps = quantised_weights(weights, bias, np.float32(0.01))
    assert integers[0].tolist() == [63, -10]
    assert steps[0] == pytest.approx(0.01)
    assert not integers[1].any()
    assert np.abs(bias / (steps.astype(np.float64) * 0.01)).max() < 2**31


@pytest.mark.parametrize("made_by", [floats_of, integers_of])
def test_the_file_says_what_it_takes_and_nothing_about_this_machine(made_by: object) -> None:
    content = made_by(network(*ARCHITECTURES[1]))
    assert content == made_by(network(*ARCHITECTURES[1])), "same bytes"
    found = onnx.load_model_from_string(content)
    onnx.checker.check_model(found, full_check=True)
    (images,) = found.graph.input
    shape = [each.dim_param or each.dim_value for each in images.type.tensor_type.shape.dim]
    assert (images.name, shape) == ("images", ["N", 28, 28])
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert "0 is paper, 255 is ink" in images.doc_string
    assert [output.name for output in found.graph.output] == ["logits", "probabilities"]
    assert found.producer_name == ""
    metadata = {each.key: each.value for each in found.metadata_props}
    assert metadata == {"sha256": content[-64:].decode()}, "and it is the end of the file"
    for node in found.graph.node:
        assert node.doc_string == ""
        assert len(node.metadata_props) == 0
        assert node.domain == "", "only what every runtime has"
    assert b".py" not in content


@pytest.mark.parametrize("made_by", [floats_of, integers_of])
def test_a_flipped_bit_is_refused_wherever_it_is(made_by: object, tmp_path: Path) -> None:
    content, path = made_by(network([1, "pool", "pool"], None)), tmp_path / "model.onnx"
    chance = Random(0)
    ends = [0, *range(len(content) - 2 * runtime.DIGEST_SIZE, len(content))]
    for place in [*ends, *chance.sample(range(len(content)), 200)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="model.onnx: not a whole ONNX file .* remakes it"):
            runtime.load(path)
    path.write_bytes(content)
    logits, _ = runtime.load(path)(DRAWN.images.numpy())
    assert np.array_equal(logits, Reader(content)(DRAWN.images.numpy())[0])


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model_is_refused_whatever_its_digest(content: bytes, tmp_path: Path) -> None:
    path, end = tmp_path / "model.onnx", bytes(runtime.DIGEST_SIZE)
    path.write_bytes(content + runtime.digest(content + end))
    with pytest.raises(UserError, match="model.onnx: not a whole ONNX file: "):
        runtime.load(path)


def test_ceilings_are_what_the_network_reaches() -> None:
    made = network([3, "pool", 4], 5)
    layers = layers_of(made)
    normalised = DRAWN.normalisation(DRAWN.images.unsqueeze(1))
    highest = ceilings(layers, normalised)
    assert len(highest) == len([each for each in layers if not isinstance(each, Pool)]) == 4
    logits = model.predict(made, DRAWN.images, DRAWN.normalisation)
    assert highest[-1] == pytest.approx(logits.max().item(), rel=1e-4)
    few = Split(DRAWN.images[:5], DRAWN.labels[:5], DRAWN.normalisation)
    lower = ceilings(layers, few.normalisation(few.images.unsqueeze(1)))
    assert all(low <= high for low, high in zip(lower, highest, strict=True))
