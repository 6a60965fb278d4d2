"""How a stage starts: its --help, the lock on its folder, and its error messages."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from digits.core.errors import exit_with
from digits.core.stage_lock import LOCK, stage_lock


def run_stage(
    main: Callable[[], None], lock: Path = LOCK, model: Callable[[Path], None] | None = None
) -> None:
    """Run a stage's `main` with this folder locked, and end as `exit_with` does.

    A stage takes no arguments; `--help` prints the docstring of its module. What may run beside
    the stages takes another `lock`. With `--model PATH`, `model` runs on the path instead of
    `main`, without a lock, so it must write nothing.
    """
    module = main.__globals__
    name = module["__spec__"].name
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=module["__doc__"],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if model:
        parser.add_argument("--model", type=Path, metavar="PATH", help=model.__doc__)
    options = parser.parse_args()

    def locked() -> None:
        with stage_lock(lock, name.rpartition(".")[2]):
            main()

    exit_with(partial(model, options.model) if model and options.model else locked)
