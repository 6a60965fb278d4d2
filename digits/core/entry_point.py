"""How a stage starts: its --help, the lock on its folder, and its error messages."""

import argparse
from collections.abc import Callable
from pathlib import Path

from digits.core.errors import exit_with
from digits.core.stage_lock import LOCK, stage_lock


def run_stage(main: Callable[[], None], lock: Path = LOCK) -> None:
    """Run a stage's `main` with this folder locked, and end as `exit_with` does.

    A stage takes no arguments; `--help` prints the docstring of its module. What may run beside
    the stages takes another `lock`.
    """
    module = main.__globals__
    name = module["__spec__"].name
    argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=module["__doc__"],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()

    def locked() -> None:
        with stage_lock(lock, name.rpartition(".")[2]):
            main()

    exit_with(locked)
