"""The steps of inference, as plain data that an ONNX file can be written from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Operation:
    """One step of inference: an ONNX operator and its attributes, and the same step in torch.

    name: of its output in an ONNX graph; {} stands for its place. weights: `(K, C, 3, 3)` of a
    convolution, `(K, C)` of a linear layer. bias: `(K,)`. exact: its outputs are some of its
    inputs, so that it works on integers as well.
    """

    name: str
    operator: str
    run: Callable[[Tensor], Tensor]
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    weights: Floats | None = None
    bias: Floats | None = None
    relu: bool = False
    exact: bool = False
