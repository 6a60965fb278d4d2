"""The stages of the pipeline, and the numeric environment that they all share.

The variables below pin the instruction sets that torch, oneDNN and MKL may use, so that
float32 results are the same bits on every x86-64 machine with AVX2. They must stand before
the first import of torch, and they override whatever the caller exported. All three are
needed: https://github.com/Deep-MI/FastSurfer/pull/892.
"""

import importlib.util
import os
import platform
import sys

if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    os.environ["MKL_CBWR"] = "COMPATIBLE"

# How long a thread of GNU OpenMP waits for the others before it sleeps: microseconds, not the
# milliseconds that make training crawl beside a busy process.
os.environ["GOMP_SPINCOUNT"] = "2000"
os.environ.pop("OMP_WAIT_POLICY", None)

if importlib.util.find_spec("torch") is None:
    sys.exit(
        f"error: {sys.executable} has no torch: `python` is not this project's environment. "
        "Run `make repro`, or `. .venv/bin/activate` before dvc (`make setup` creates it)."
    )
