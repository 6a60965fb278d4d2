"""Software and CPU settings that affect results bit for bit.

The same text wherever they are the same: no machine name, no kernel, no patch level.
"""

import os
import sys
from importlib import metadata

import torch

# packages that compute a number or encode a file of the pipeline
PACKAGES = (
    "llvmlite",
    "matplotlib",
    "mlxtend",
    "numba",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "pillow",
    "safetensors",
    "scikit-learn",
    "scipy",
    "torch",
)


def describe(device: torch.device) -> dict[str, object]:
    """Python, packages and processor settings; call it after training, which sets threads.

    `instructions` is what torch reports; `onednn` and `mkl` are the values that digits/__init__.py
    pins, or None on a processor where it pins nothing.
    """
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "device": device.type,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "mkl": os.environ.get("MKL_CBWR"),
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }
