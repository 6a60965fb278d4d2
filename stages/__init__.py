"""The stages of the pipeline, their help, and the numeric environment that they all share.

Help comes first, before anything heavy is imported. The variables below pin the instruction
sets that torch, oneDNN and MKL may use, so that float32 results are the same bits on every
x86-64 machine with AVX2. They must stand before the first import of torch, and they override
whatever the caller exported. All three are needed:
https://github.com/Deep-MI/FastSurfer/pull/892.
"""

import ast
import importlib.util
import os
import platform
import re
import sys
from pathlib import Path
from types import TracebackType

from stages.lib.errors import is_interrupt

ROOT = Path(__file__).parent.parent


def answer_arguments(arguments: list[str]) -> None:
    """End the process if a program of this project that takes no arguments was given some.

    `--help` prints the docstring of the program's file, and anything else is refused with exit
    code 2. Programs that parse their own arguments are left alone.
    """
    path = program()
    source = path.read_text() if arguments and path else ""
    is_run = re.search('^if __name__ == "__main__":$', source, re.M)
    if not is_run or re.search("^(import|from) argparse", source, re.M):
        return
    called = "python " + " ".join(sys.orig_argv[1 : -len(arguments)])
    if {"-h", "--help"}.intersection(arguments):
        print(f"usage: {called}\n\n{ast.get_docstring(ast.parse(source))}")
        sys.exit()
    print(
        f"error: unknown argument {arguments[0]!r}: {called} takes none; "
        "--help says what it reads and writes",
        file=sys.stderr,
    )
    sys.exit(2)


def program() -> Path | None:
    """The file that `python -m MODULE` or `python run.py` was asked for, if it is one of ours."""
    if sys.argv[0] != "-m":  # what Python has there until it has found the module
        path = Path(sys.argv[0]).absolute()
        return path if path == ROOT / "run.py" else None
    module = re.sub(r"^-\w*?m", "", sys.orig_argv[len(sys.orig_argv) - len(sys.argv)])
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.is_file() else None


def end_on_error(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """A sys.excepthook: Ctrl-C during the imports ends as lib/errors.py ends it later."""
    if not is_interrupt(error):
        return sys.__excepthook__(kind, error, traceback)
    print("interrupted", file=sys.stderr)
    sys.exit(130)


answer_arguments(sys.argv[1:])
if program():
    sys.excepthook = end_on_error

if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    os.environ["MKL_CBWR"] = "COMPATIBLE"

# How long a thread of GNU OpenMP waits for the others before it sleeps: microseconds, not the
# milliseconds that make training crawl beside a busy process.
os.environ["GOMP_SPINCOUNT"] = "2000"
os.environ.pop("OMP_WAIT_POLICY", None)

# stages.predict is the one that does without torch
needed = "onnxruntime" if program() == ROOT / "stages/predict.py" else "torch"
if importlib.util.find_spec(needed) is None:
    problem = (
        f"{sys.executable} has no {needed}: `python` is not this project's environment. "
        "Run `make repro`, or `. .venv/bin/activate` before dvc (`make setup` creates it)."
    )
    if program():
        sys.exit(f"error: {problem}")
    raise ModuleNotFoundError(problem, name=needed)
