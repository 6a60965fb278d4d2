"""The stages of the pipeline, in the order of dvc.yaml; each is run as `python -m stages.NAME`."""

import importlib.util
import sys

import digits  # noqa: F401  # pyright: ignore[reportUnusedImport]  pins instruction sets before torch is imported

if importlib.util.find_spec("torch") is None:
    raise ModuleNotFoundError(
        f"{sys.executable} has no torch: `python` is not this project's environment. "
        "Run `make repro`, or `. .venv/bin/activate` before dvc (`make setup` creates it).",
        name="stages",  # `python -m` then prints this message without a traceback
    )
