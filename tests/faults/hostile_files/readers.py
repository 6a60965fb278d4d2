"""The readers that must refuse hostile files, which the name of a file begins with.

`python -m tests.faults.hostile_files.readers FOLDER` reads every file of a folder; prints for each
as JSON whether it was read, and how far memory rose in MB.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from digits import load
from digits.core import config, split, tensor_file
from digits.core.errors import UserError
from digits.network import model_file
from digits.sources import idx
from digits.training.checkpoint import Checkpoint, CheckpointHeader, Epoch, state_of
from tests.faults.hostile_files import drawn_files

SECONDS = 180  # for one file; the slowest takes two on a quiet machine


def restore(path: Path) -> list[Epoch]:
    """Restore a checkpoint as training does, which goes on without one that it refuses."""
    run = drawn_files.start_of_run()
    untouched = digest_of(state_of(*run))
    history = Checkpoint(path, drawn_files.KEY).restore(*run)
    if not history:
        assert digest_of(state_of(*run)) == untouched
        raise UserError(f"{path}: refused")
    state, header = tensor_file.load(path, CheckpointHeader)
    assert history == header.history
    assert digest_of(state_of(*run)) == digest_of(state)
    return history


def digest_of(state: dict[str, Any]) -> str:
    return tensor_file.digest(state, CheckpointHeader(key="", history=[]))


def load_both(path: Path) -> Any:
    """A model, which both of its readers refuse, or neither."""
    try:
        network = model_file.load(path)
    except UserError as error:
        try:
            load(path)
        except UserError as other:
            raise UserError(f"{error}\n{other}") from None
        raise AssertionError(f"only one reader refuses it: {error}") from None
    load(path)
    return network


READERS = {
    "images": idx.read_images,
    "labels": idx.read_labels,
    "model": load_both,
    "split": split.load,
    "checkpoint": restore,
    "params": config.read,
}


def read(path: Path) -> Any:
    """The content of a file; None if its reader refuses it in a few short lines that name it."""
    signal.alarm(SECONDS)  # ends this process if a reader hangs
    try:
        return READERS[path.name.partition("-")[0]](path)
    except UserError as error:
        lines = str(error).splitlines()
        assert 1 <= len(lines) <= 10, lines
        for line in lines:
            assert str(path) in line, line
            assert line.isprintable(), line
            assert len(line) < 500 + len(str(path)), line
        return None
    finally:
        signal.alarm(0)


def peak() -> float:
    """The most memory that this process has held since `reset_peak`, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    report: dict[str, tuple[bool, float]] = {}
    for path in Path(sys.argv[1]).iterdir():
        reset_peak()
        before = peak()
        report[path.name] = read(path) is not None, peak() - before
    print(json.dumps(report))


if __name__ == "__main__":
    main()
