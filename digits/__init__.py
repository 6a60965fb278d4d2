"""A reproducible handwritten-digit classifier: the library behind the pipeline in `stages/`.

`from digits import load` loads a trained network: see pretrained.py.

Importing the package pins the instruction sets that torch, oneDNN and MKL may use, so that float32
results are the same bits on every x86-64 machine with AVX2. The variables must be set before torch
is imported, and they override the caller's. All three are needed:
https://github.com/Deep-MI/FastSurfer/pull/892.
"""

import os
import platform
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from digits.pretrained import Classifier as Classifier
    from digits.pretrained import load as load

if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    os.environ["MKL_CBWR"] = "COMPATIBLE"


def __getattr__(name: str) -> object:
    """What is imported on first use, because not every program that imports this needs torch."""
    if name in ("Classifier", "load"):
        return getattr(import_module("digits.pretrained"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
