"""A reproducible handwritten-digit classifier: the library behind the pipeline in `stages/`.

Importing it pins the instruction sets that torch, oneDNN and MKL may use, so that float32 results
are the same bits on every x86-64 machine with AVX2. The variables must be set before torch is
imported, and they override the caller's. All three are needed:
https://github.com/Deep-MI/FastSurfer/pull/892.
"""

import os
import platform

if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    os.environ["MKL_CBWR"] = "COMPATIBLE"
