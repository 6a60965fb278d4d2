"""The network as an ONNX file, in float32 or in 8-bit integers.

The graph is written node by node from the layers. torch.onnx.export would need another package
(onnxscript), takes seconds to import, and writes paths of the exporting machine into the file.
The integers are chosen here too and not by onnxruntime.quantization, which measures ranges in
onnxruntime: there the last bits of a float depend on the processor, and with them the file.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from stages.lib.layers import Floats, Layer, Pool, Weighted
from stages.lib.model import DIGITS
from stages.lib.parameters import IMAGE_SIZE
from stages.lib.runtime import DIGEST_SIZE, digest
from stages.lib.splits import Normalisation

OPSET, IR = 17, 8  # of 2022: what reads ONNX today reads these
# Weights have 7 bits: with 8, processors without VNNI clip sums of two products to 16 bits.
WEIGHT_STEPS = 63
ABOUT = "Reads a handwritten digit. {precision}; normalisation is a part of the graph."
ABOUT_IMAGES = "grey images, 28x28: 0 is paper, 255 is ink; the digit centred as in MNIST"
ABOUT_LOGITS = "one for each digit, 0 to 9; the highest is the digit read"
ABOUT_PROBABILITIES = "softmax of the logits"


class Graph:
    """A graph that is being written; every value is called after the node that makes it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        """Add a constant."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output."""
        self.nodes.append(helper.make_node(operator, [*inputs], [name], name, **attributes))
        return name


def encode(
    layers: Sequence[Layer], normalisation: Normalisation, ceilings: Sequence[float] | None = None
) -> bytes:
    """The ONNX file, which ends on its `runtime.digest`; the same arguments give the same bytes.

    Its input is "images", uint8 `(N, 28, 28)`; its outputs are "logits" and
    "probabilities", float32 `(N, 10)`. N may be any number, also 0.

    Args:
        layers: of a network for normalised images.
        normalisation: that of the network's images.
        ceilings: None for float32; for integers, the highest value of each weighted layer.
    """
    mean, std = normalisation.mean, normalisation.std
    graph = Graph()
    values = graph.add("Cast", "float_images", "images", to=TensorProto.FLOAT)
    offset = graph.constant("mean", np.float32(255 * mean))
    values = graph.add("Sub", "centred", values, offset)
    values = graph.add("Div", "scaled", values, graph.constant("std", np.float32(255 * std)))
    values = graph.add("Unsqueeze", "normalised", values, graph.constant("channel", np.array([1])))

    scale, zero = np.float32(1), np.uint8(0)
    if ceilings is not None:
        lowest, highest = (0 - mean) / std, (1 - mean) / std
        scale = np.float32((highest - lowest) / 255)
        zero = np.uint8(np.rint(-lowest / scale))
        values = _quantise(graph, "input", values, scale, zero)
    number, flat = 0, False
    for place, layer in enumerate(layers):
        if isinstance(layer, Pool):
            values = graph.add(
                "MaxPool", f"pool{place}", values, kernel_shape=[2, 2], strides=[2, 2]
            )
            continue
        number += 1
        if layer.weights.ndim == 2 and not flat:
            values, flat = graph.add("Flatten", "flat", values, axis=1), True
        if ceilings is not None:
            values = _dequantise(graph, f"from{number}", values, scale, zero)
        last = place == len(layers) - 1
        parts = _parameters(graph, number, layer, None if ceilings is None else scale)
        values = _weigh(graph, "logits" if last else f"weighted{number}", values, parts, layer)
        if ceilings is not None and not last:
            scale, zero = np.float32((ceilings[number - 1] or 1) / 255), np.uint8(0)
            values = _quantise(graph, f"to{number}", values, scale, zero)
    graph.add("Softmax", "probabilities", values, axis=1)
    return _file(graph, "float32" if ceilings is None else "8-bit integers inside")


def _weigh(graph: Graph, name: str, values: str, parts: tuple[str, str], layer: Weighted) -> str:
    """Add the convolution or linear layer itself, and its ReLU."""
    linear = f"{name}_sum" if layer.relu else name
    if layer.weights.ndim == 4:
        graph.add("Conv", linear, values, *parts, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    else:
        graph.add("Gemm", linear, values, *parts, transB=1)
    return graph.add("Relu", name, linear) if layer.relu else linear


def _parameters(
    graph: Graph, number: int, layer: Weighted, scale: np.float32 | None
) -> tuple[str, str]:
    """Add the weights and the bias; as integers, if `scale` says how values come in."""
    name = f"layer{number}"
    if scale is None:
        return (
            graph.constant(f"{name}_weights", layer.weights),
            graph.constant(f"{name}_bias", layer.bias),
        )
    weights, steps = quantised_weights(layer.weights, layer.bias, scale)
    bias = np.rint(layer.bias.astype(np.float64) / (steps.astype(np.float64) * scale))
    return (
        _integers(graph, f"{name}_weights", weights, steps),
        _integers(graph, f"{name}_bias", bias.astype(np.int32), steps * scale),
    )


def quantised_weights(
    weights: Floats, bias: Floats, scale: np.float32
) -> tuple[npt.NDArray[np.int8], Floats]:
    """Weights as integers of -63 to 63, and what one step of each output channel is worth.

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


def _file(graph: Graph, precision: str) -> bytes:
    """The bytes of the graph, with its inputs and outputs explained."""
    images = helper.make_tensor_value_info(
        "images", TensorProto.UINT8, ["N", IMAGE_SIZE, IMAGE_SIZE], ABOUT_IMAGES
    )
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", DIGITS], about)
        for name, about in (("logits", ABOUT_LOGITS), ("probabilities", ABOUT_PROBABILITIES))
    ]
    made = helper.make_model(
        helper.make_graph(graph.nodes, "digits", [images], outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        doc_string=ABOUT.format(precision=precision.capitalize()),
    )
    # the last field of the file: its value can be a hash of all that stands before it
    helper.set_model_props(made, {"sha256": "0" * DIGEST_SIZE})
    onnx.checker.check_model(made, full_check=True)
    content = made.SerializeToString(deterministic=True)
    return content[:-DIGEST_SIZE] + digest(content)
