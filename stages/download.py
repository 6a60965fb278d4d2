"""Fetch four IDX files: MNIST, another published set, the user's own, or the built-in sample.

A folder of pictures stays where it is; the four files are then empty.

Reads `download` of params.yaml and, for MNIST, the environment variable MNIST_MIRROR (a folder,
or a `file://` or `https://` address, tried before the public mirrors). Writes data/raw/*.gz.
"""

import os
import sys

from digits.core import config
from digits.core.entry_point import run_stage
from digits.sources import catalog, download
from digits.sources.catalog import FOLDER
from stages import paths


def main() -> None:
    parameters = config.read(paths.PARAMETERS).download
    dataset = catalog.find(parameters.source)

    if parameters.source == "sample":
        download.write_sample(paths.RAW)
    elif parameters.source == FOLDER:
        download.write_nothing(paths.RAW)
    elif parameters.files:
        download.fetch(download.own(parameters.files), paths.RAW, dataset.way_out)
    else:
        mirror = os.environ.get("MNIST_MIRROR") if parameters.source == "mnist" else None
        download.fetch(download.published(dataset, mirror), paths.RAW, dataset.way_out)

    place = paths.PICTURES if parameters.source == FOLDER else paths.RAW
    print(f"download: {parameters.source} is in {place}", file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
