"""The network as an ONNX file, in float32 or in 8-bit integers.

The graph is written node by node from the operations of the layers. torch.onnx.export cannot write
the integers, and onnxruntime.quantization measures their ranges in onnxruntime, where the last bits
of a float depend on the processor, and with them the file.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper

from digits.core.data_shape import MNIST, DataShape
from digits.core.split import Normalisation
from digits.export.onnx_graph import Graph
from digits.export.onnx_session import TRAILER_SIZE, trailer
from digits.network.digitnet import DigitNet
from digits.network.onnx_operation import Floats, Operation

OPSET, IR = 17, 8  # of 2022: every current ONNX runtime reads them
# Weights have 7 bits: with 8, processors without VNNI clip sums of two products to 16 bits.
WEIGHT_STEPS = 63
ABOUT_DIGITS = (
    "Reads a handwritten digit.",
    "grey images, 28x28: 0 is paper, 255 is ink; the digit centred as in MNIST",
    "one for each digit, 0 to 9; the highest is the digit read",
)
ABOUT_OTHERS = (
    "Tells the class of a picture; the metadata has the names.",
    "images of {}, brought to that form as the metadata says",
    "one for each class; the highest is the answer",
)
ABOUT_PROBABILITIES = "softmax of the logits, divided by the temperature that calibrates them"


def operations_of(network: DigitNet) -> list[Operation]:
    """All inference steps of a trained network, from normalised images to logits."""
    return [step for layer in network.layers for step in layer.operations(network)]


@torch.inference_mode()
def activation_maxima(operations: Sequence[Operation], images: torch.Tensor) -> list[float]:
    """The highest output of each operation that computes new values.

    Args:
        operations: of a network.
        images: normalised float32 `(N, channels, H, W)`, N at least 1.
    """
    maxima: list[float] = []
    features = images
    for operation in operations:
        features = operation.run(features)
        features = features.relu() if operation.relu else features
        if not operation.exact:
            maxima.append(features.max().item())
    return maxima


def encode(
    operations: Sequence[Operation],
    normalisation: Normalisation,
    maxima: Sequence[float] | None = None,
    temperature: float = 1.0,
    shape: DataShape = MNIST,
) -> bytes:
    """The ONNX file, which ends with its `onnx_session.trailer`; same arguments, same bytes.

    Its input is "images", raw images uint8; its outputs are "logits" and "probabilities", float32
    `(N, classes)`. N may be any number, also 0.

    Args:
        operations: of a network.
        normalisation: of the network's images.
        maxima: None for float32; for 8-bit integers, the `activation_maxima`.
        temperature: what logits are divided by, so that the probabilities are calibrated.
        shape: of the network's images and answers.
    """
    graph = Graph()
    values = _add_normalisation(graph, normalisation, shape)
    scale, zero = np.float32(1), np.uint8(0)
    if maxima is not None:
        lowest, highest = ((bound - normalisation.mean) / normalisation.std for bound in (0, 1))
        scale = np.float32((highest - lowest) / 255)
        zero = np.uint8(np.rint(-lowest / scale))
        values = _quantise(graph, "input", values, scale, zero)
    number = 0
    for place, operation in enumerate(operations):
        if operation.exact:
            name = operation.name.format(place)
            values = graph.add(operation.operator, name, values, **operation.attributes)
            continue
        number += 1
        is_last = place == len(operations) - 1
        if maxima is not None:
            values = _dequantise(graph, f"from{number}", values, scale, zero)
        parts = _add_weights(graph, number, operation, None if maxima is None else scale)
        name = "logits" if is_last else f"{operation.name}{number}"
        values = _add_operation(graph, name, values, parts, operation)
        if maxima is not None and not is_last:
            scale, zero = np.float32((maxima[number - 1] or 1) / 255), np.uint8(0)
            values = _quantise(graph, f"to{number}", values, scale, zero)
    divisor = graph.constant("temperature", np.float32(temperature))
    values = graph.add("Div", "calibrated", values, divisor)
    graph.add("Softmax", "probabilities", values, axis=1)
    return _file(graph, "float32" if maxima is None else "8-bit integers inside", shape)


def _add_normalisation(graph: Graph, normalisation: Normalisation, shape: DataShape) -> str:
    """Add the steps from raw images to normalised float32 `(N, channels, H, W)`."""
    mean, std = (np.float32(255 * each) for each in (normalisation.mean, normalisation.std))
    values = graph.add("Cast", "float_images", "images", to=TensorProto.FLOAT)
    values = graph.add("Sub", "centred", values, graph.constant("mean", mean))
    values = graph.add("Div", "scaled", values, graph.constant("std", std))
    if shape.channels > 1:
        return graph.add("Transpose", "normalised", values, perm=[0, 3, 1, 2])
    return graph.add("Unsqueeze", "normalised", values, graph.constant("channel", np.array([1])))


def _add_operation(
    graph: Graph, name: str, values: str, parts: Sequence[str], operation: Operation
) -> str:
    """Add an operation with its weights, and its ReLU."""
    linear = f"{name}_sum" if operation.relu else name
    graph.add(operation.operator, linear, values, *parts, **operation.attributes)
    return graph.add("Relu", name, linear) if operation.relu else linear


def _add_weights(
    graph: Graph, number: int, operation: Operation, scale: np.float32 | None
) -> list[str]:
    """Add the weights and the bias; as integers, if `scale` says how the inputs are quantised."""
    if operation.weights is None or operation.bias is None:
        return []
    name = f"layer{number}"
    if scale is None:
        return [
            graph.constant(f"{name}_weights", operation.weights),
            graph.constant(f"{name}_bias", operation.bias),
        ]
    weights, steps = quantised_weights(operation.weights, operation.bias, scale)
    bias = np.rint(operation.bias.astype(np.float64) / (steps.astype(np.float64) * scale))
    return [
        _integers(graph, f"{name}_weights", weights, steps),
        _integers(graph, f"{name}_bias", bias.astype(np.int32), steps * scale),
    ]


def quantised_weights(
    weights: Floats, bias: Floats, scale: np.float32
) -> tuple[npt.NDArray[np.int8], Floats]:
    """Weights as integers of -63 to 63, and the value of one step in each output channel.

    A step is large enough for the bias to fit 32 bits in steps of itself times `scale`.
    """
    highest = np.abs(weights.astype(np.float64)).reshape(len(weights), -1).max(1)
    steps = np.maximum(highest / WEIGHT_STEPS, np.abs(bias) / (float(scale) * 2**30))
    steps = np.where(steps > 0, steps, 1).astype(np.float32)
    shaped = steps.reshape(-1, *[1] * (weights.ndim - 1))
    return np.rint(weights.astype(np.float64) / shaped).astype(np.int8), steps


def _quantise(graph: Graph, name: str, values: str, scale: np.float32, zero: np.uint8) -> str:
    """Add the step from floats to uint8: round(values / scale) + zero, within 0 to 255."""
    parts = (graph.constant(f"{name}_scale", scale), graph.constant(f"{name}_zero", zero))
    return graph.add("QuantizeLinear", name, values, *parts)


def _dequantise(graph: Graph, name: str, values: str, scale: np.float32, zero: np.uint8) -> str:
    """Add the way back; onnxruntime computes what stands between the two in integers."""
    parts = (graph.constant(f"{name}_scale", scale), graph.constant(f"{name}_zero", zero))
    return graph.add("DequantizeLinear", name, values, *parts)


def _integers(graph: Graph, name: str, values: npt.NDArray[np.signedinteger], steps: Floats) -> str:
    """Add constants that are stored as integers, with one step for each output channel."""
    parts = (
        graph.constant(f"{name}_integers", values),
        graph.constant(f"{name}_steps", steps),
        graph.constant(f"{name}_zero", np.zeros(len(values), values.dtype)),
    )
    return graph.add("DequantizeLinear", name, *parts, axis=0)


def _file(graph: Graph, precision: str, shape: DataShape) -> bytes:
    """The bytes of the graph, with its inputs and outputs documented."""
    about, *values = ABOUT_DIGITS if shape == MNIST else ABOUT_OTHERS
    about_images, about_logits = (text.format(shape) for text in values)
    size = ["N", *shape.images(0)[1:]]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, size, about_images)
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(shape.classes)], text)
        for name, text in (("logits", about_logits), ("probabilities", ABOUT_PROBABILITIES))
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "digits", [images], outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        doc_string=f"{about} {precision.capitalize()}; normalisation is a part of the graph.",
    )
    # sha256 is the last field of the file: its value can be a digest of everything before it
    described = {} if shape == MNIST else {"shape": json.dumps(asdict(shape), ensure_ascii=False)}
    helper.set_model_props(model, described | {"sha256": "0" * TRAILER_SIZE})
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString(deterministic=True)
    return content[:-TRAILER_SIZE] + trailer(content)
