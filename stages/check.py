"""Refuse a params.yaml that is wrong anywhere, before any stage touches its outputs.

Reads the whole of params.yaml. Writes data/checked, which never changes: it puts this stage
before all others and makes none of them run again.
"""

from pathlib import Path

from stages.lib import files, parameters
from stages.lib.alone import run_stage
from stages.lib.model import check_budget, pick_device

PARAMETERS = Path("params.yaml")
CHECKED = Path("data/checked")


def main() -> None:
    chosen = parameters.read(PARAMETERS)
    check_budget(chosen.model)
    pick_device(chosen.train.device)
    files.write(CHECKED, b"params.yaml has been checked\n")


if __name__ == "__main__":
    run_stage(main)
