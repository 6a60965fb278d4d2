"""Read files that mean harm: in this process, or each in a process of its own.

`python -m tests.faults.hostile FOLDER` reads every file of a folder by the reader that its name
begins with, each in a fork with 60 seconds, and prints a line of JSON for each.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stages.lib import idx, model, parameters, splits, tensors
from stages.lib.checkpoint import Checkpoint, CheckpointHeader, Row, state_of
from stages.lib.errors import UserError, exit_with
from tests.faults import cases

ROOT = Path(__file__).parent.parent.parent


def read_checkpoint(path: Path) -> list[Row]:
    """Restore it as training does, which goes on without one that it refuses."""
    run = cases.beginning()
    untouched = digest_of(state_of(*run))
    history = Checkpoint(path, cases.KEY).restore(*run)
    if not history:
        assert digest_of(state_of(*run)) == untouched
        raise UserError(f"{path}: refused")
    state, header = tensors.load(path, CheckpointHeader)
    assert history == header.history
    assert digest_of(state_of(*run)) == digest_of(state)
    return history


def digest_of(state: dict[str, Any]) -> str:
    return tensors.digest(state, CheckpointHeader(key="", history=[]))


READERS = {
    "images": idx.read_images,
    "labels": idx.read_labels,
    "model": model.load,
    "split": splits.load,
    "checkpoint": read_checkpoint,
    "params": parameters.read,
}
SECONDS = 60  # for one file; the slowest takes two on a quiet machine


def read(path: Path) -> Any:
    """What the reader of this file makes of it, or None if it refuses it as it should.

    Anything but a UserError of a few short lines that name the file is an error of the test.
    """
    signal.alarm(SECONDS)  # the end of this process, if it comes to that
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


def read_apart(folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    """What another Python makes of every file of a folder: name -> outcome, rise of memory."""
    done = subprocess.run(
        [sys.executable, *options, "-m", "tests.faults.hostile", str(folder)],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


def peak() -> float:
    """The most memory that this process has held, in MB; in a fork, since it began."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_in_fork(path: Path) -> dict[str, Any]:
    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(SECONDS)
        before, begun, outcome = peak(), time.monotonic(), "read"
        try:
            exit_with(lambda: void(READERS[path.name.partition("-")[0]](path)))
        except SystemExit as error:
            outcome = f"{error.code}"
        except BaseException as error:
            outcome = f"TRACEBACK {error!r}"
        seconds = time.monotonic() - begun
        told = {"outcome": outcome, "rise": peak() - before, "seconds": seconds}
        os.write(theirs, json.dumps(told).encode())
        os._exit(0)
    os.close(theirs)
    _, status = os.waitpid(process, 0)
    with os.fdopen(ours) as told:
        outcome = told.read() or json.dumps({"outcome": f"KILLED {status}"})
    return {"name": path.name, **json.loads(outcome)}


def void(_: object) -> None:
    pass


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).iterdir()):
        print(json.dumps(read_in_fork(path)), flush=True)
