"""What the bits of a run hang on besides code, parameters and data, in words and numbers.

The same text wherever these are the same: no name of a machine, no kernel, no patch level.
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
    """Python, packages and processor settings; to be asked after training, which sets threads.

    `instructions` is what torch found itself allowed to use; `onednn` and `mkl` are what
    stages/__init__.py pins, or None on a processor where it pins nothing.
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
