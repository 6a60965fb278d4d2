"""Refuse a params.yaml that is wrong anywhere, before any stage touches its outputs.

Reads the whole of params.yaml. Writes data/checked, which never changes: it makes DVC run this
stage before all others, and never makes another one run.
"""

from digits.core import config, files
from digits.core.entry_point import run_stage
from digits.network.digitnet import check_budget, pick_device
from digits.sources import catalog
from stages import paths


def main() -> None:
    parameters = config.read(paths.PARAMETERS)

    catalog.find(parameters.download.source)
    check_budget(parameters.model)
    pick_device(parameters.train.device)

    files.write(paths.CHECKED, b"params.yaml has been checked\n")


if __name__ == "__main__":
    run_stage(main)
