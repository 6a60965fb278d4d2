"""The ONNX file computes what the network computes, whatever the architecture."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from digits.core.config import Architecture
from digits.core.errors import UserError
from digits.export import onnx_session
from digits.export.onnx_file import (
    WEIGHT_STEPS,
    activation_maxima,
    encode,
    operations_of,
    quantised_weights,
)
from digits.export.onnx_session import Session
from digits.network.blocks import layers_of
from digits.network.digitnet import DigitNet
from digits.network.model_file import classify
from tests import drawn
from tests.unit.networks import Blocks, trained


def has_layers(blocks: Blocks) -> bool:
    """Whether a network can be made of them."""
    try:
        layers_of(Architecture(blocks=blocks))
    except UserError:
        return False
    return True


SPLIT = drawn.split(60)
IMAGES, NORMALISED = SPLIT.images.numpy(), SPLIT.normalisation(SPLIT.images.unsqueeze(1))
ARCHITECTURES = [
    ([8, "pool", 16, "pool", 32, "pool"], 32),
    (["pool", 4, 5, "pool", "pool", 6], None),
    ([3, 2], 7),
    ([1, "pool", "pool", "pool", "pool"], 1),
    (["3 valid", "pool", "4 valid", "gap"], None),
]
BLOCKS = st.lists(
    st.one_of(st.integers(1, 6), st.sampled_from(["pool", "2 valid", "gap"])),
    min_size=1,
    max_size=7,
).filter(has_layers)


def float_file(network: DigitNet) -> bytes:
    return encode(operations_of(network), SPLIT.normalisation)


def integer_file(network: DigitNet) -> bytes:
    operations = operations_of(network)
    return encode(operations, SPLIT.normalisation, activation_maxima(operations, NORMALISED))


def logits_of(network: DigitNet) -> np.ndarray:
    return classify(network, SPLIT.images, SPLIT.normalisation).numpy()


Encoder = Callable[[DigitNet], bytes]
both = pytest.mark.parametrize("encoder", [float_file, integer_file])


@settings(max_examples=25)
@given(blocks=BLOCKS, hidden=st.one_of(st.none(), st.integers(1, 9)), seed=st.integers(0, 99))
def test_floats_are_those_of_torch(blocks: Blocks, hidden: int | None, seed: int) -> None:
    network = trained(blocks, hidden, seed)
    logits, probabilities = Session(float_file(network)).classify(IMAGES)
    expected = logits_of(network)
    assert np.abs(logits - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    powers = np.exp(expected - expected.max(1, keepdims=True))
    assert np.abs(probabilities - powers / powers.sum(1, keepdims=True)).max() < 1e-4


@both
@pytest.mark.parametrize(("blocks", "hidden"), ARCHITECTURES)
def test_integers_are_close_and_the_batch_may_have_any_size(
    blocks: Blocks, hidden: int | None, encoder: Encoder
) -> None:
    network = trained(blocks, hidden)
    model, expected = Session(encoder(network)), logits_of(network)
    together, _ = model.classify(IMAGES)
    assert np.abs(together - expected).max() < 0.1 * np.ptp(expected)
    for count in (0, 1, 7):
        logits, probabilities = model.classify(IMAGES[:count])
        assert logits.shape == probabilities.shape == (count, 10)
        assert np.allclose(logits, together[:count], atol=1e-5)
    many, _ = model.classify(np.concatenate([IMAGES] * 7))  # more than one batch
    assert np.allclose(many, np.concatenate([together] * 7), atol=1e-5)


def test_the_integer_file_is_smaller_and_computes_in_integers() -> None:
    network = trained(*ARCHITECTURES[0])
    integers = integer_file(network)
    assert len(integers) < 0.4 * len(float_file(network))
    graph = onnx.load_model_from_string(integers).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    weights = [stored[name] for name in stored if name.endswith("_weights_integers")]
    assert len(weights) == 5
    for each in weights:
        assert each.dtype == np.int8
        assert np.abs(each).reshape(len(each), -1).max(1).tolist() == [WEIGHT_STEPS] * len(each)


def test_a_dead_layer_and_a_large_bias_stay_finite() -> None:
    network = trained([3, "pool", 2], 4)
    state = network.state_dict()
    for name in ("bn1.weight", "bn1.bias", "fc1.weight"):
        state[name].zero_()
    state["fc1.bias"].fill_(1e4)
    logits, _ = Session(integer_file(network)).classify(IMAGES)
    expected = logits_of(network)
    assert np.abs(logits - expected).max() < 0.02 * np.abs(expected).max()


def test_a_step_is_large_enough_for_the_bias() -> None:
    weights = np.array([[0.63, -0.1], [0.0, 0.0], [1e-12, 0.0]], np.float32)
    bias = np.array([0.1, 0.0, 5.0], np.float32)
    integers, steps = quantised_weights(weights, bias, np.float32(0.01))
    assert integers[0].tolist() == [63, -10]
    assert steps[0] == pytest.approx(0.01)
    assert not integers[1].any()
    assert np.abs(bias / (steps.astype(np.float64) * 0.01)).max() < 2**31


def test_activation_maxima_are_what_the_network_reaches() -> None:
    network = trained([3, "pool", 4], 5)
    operations = operations_of(network)
    maxima, lower = (activation_maxima(operations, NORMALISED[:n]) for n in (60, 5))
    assert len(maxima) == 4, "two convolutions and two linear layers"
    assert maxima[-1] == pytest.approx(logits_of(network).max(), rel=1e-4)
    assert all(low <= high for low, high in zip(lower, maxima, strict=True))


@both
def test_the_file_documents_its_input_and_nothing_of_this_machine(encoder: Encoder) -> None:
    content = encoder(trained(*ARCHITECTURES[1]))
    assert content == encoder(trained(*ARCHITECTURES[1])), "same bytes"
    model = onnx.load_model_from_string(content)
    (images,) = model.graph.input
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert "0 is paper, 255 is ink" in images.doc_string
    metadata = {each.key: each.value for each in model.metadata_props}
    assert metadata == {"sha256": content[-64:].decode()}, "and it is the end of the file"
    assert {node.domain for node in model.graph.node} == {""}, "only what every runtime has"
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    assert not model.producer_name
    assert b".py" not in content


@both
def test_a_flipped_bit_is_refused_wherever_it_is(encoder: Encoder, tmp_path: Path) -> None:
    content, path = encoder(trained([1, "pool", "pool"])), tmp_path / "model.onnx"
    random = Random(0)
    ends = [0, *range(len(content) - 2 * onnx_session.TRAILER_SIZE, len(content))]
    for place in [*ends, *random.sample(range(len(content)), 200)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << random.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="model.onnx: not a whole ONNX file .* makes it again"):
            onnx_session.load(path)
    path.write_bytes(content)
    onnx_session.load(path)


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_no_trailer_makes_a_model_of_other_bytes(content: bytes, tmp_path: Path) -> None:
    path, end = tmp_path / "model.onnx", bytes(onnx_session.TRAILER_SIZE)
    with pytest.raises(UserError, match="model.onnx: no such file; `make repro` makes it"):
        onnx_session.load(path)
    path.write_bytes(content + onnx_session.trailer(content + end))
    with pytest.raises(UserError, match="model.onnx: not a whole ONNX file: "):
        onnx_session.load(path)
