"""Writes files over and over, to be killed while it does: `python -m tests.faults.writer FOLDER`.

For each line on stdin a child begins that writes a model, metrics, a table and a checkpoint in
turn, each in two versions; its process id goes to stdout. Children are forks: torch is
imported once. With `in-place` after FOLDER, it writes as no stage may.
"""

import itertools
import os
import sys
from pathlib import Path

import stages  # noqa: F401  sets the numeric environment before torch is imported

# isort: off
import torch

# isort: on
from stages.lib import files, model, parameters
from stages.lib.checkpoint import Checkpoint
from stages.lib.optimizer import Adam
from stages.lib.splits import Normalisation

UMASK = 0o027
NAMES = ["model.safetensors", "metrics.json", "table.csv", "checkpoint.safetensors"]
ROOT = Path(__file__).parents[2]


def write(folder: Path, version: int) -> None:
    """Write all four files; each version has other bytes and another size."""
    generator = torch.Generator().manual_seed(version)
    network = model.DigitNet([64, "pool", 64 + version], 32, 0.4, generator)
    chosen = parameters.read(ROOT / "recipes/described.yaml").train
    optimizer = Adam(network.parameters(), chosen, 100)
    rows = 50_000 + version
    model.save(folder / NAMES[0], network, Normalisation(mean=0.1, std=0.3))
    files.write_json(folder / NAMES[1], {str(row): version for row in range(rows)})
    files.write(folder / NAMES[2], b"epoch,loss\n" + b"1,%d\n" % version * rows)
    checkpoint = Checkpoint(folder / NAMES[3], f"version {version}")
    checkpoint.save(network, optimizer, generator, [{"epoch": 1, "loss": None}])


def main() -> None:
    folder = Path(sys.argv[1])
    if sys.argv[2:] == ["in-place"]:
        files.write = Path.write_bytes
    os.umask(UMASK)
    torch.set_num_threads(1)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            for version in itertools.cycle([1, 0]):
                write(folder, version)
        print(child, flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
