"""Measure processes: their time and memory, in turns, and what the machine is."""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).parents[2]
DESCRIBED = "8,pool,16,pool,32,pool"  # blocks of the described recipe
PROMISE = 0.9943  # the accuracy that the described recipe promises in its 19 epochs

Measurement = dict[str, float]


class Laps:
    """Seconds and accuracy after every epoch; the clock stops while scoring."""

    def __init__(self) -> None:
        self._seconds, self._epochs = 0.0, list[tuple[float, float]]()
        self._begun = time.perf_counter()

    def end(self, accuracy: Callable[[], float]) -> None:
        """An epoch is over; `accuracy` scores it."""
        self._seconds += time.perf_counter() - self._begun
        self._epochs.append((self._seconds, accuracy()))
        self._begun = time.perf_counter()

    def measurement(self) -> Measurement:
        """Seconds and accuracy of all epochs; the first `epoch` that keeps the promise and the
        seconds `until` then, both 0 if none does.
        """
        kept = [n for n, (_, accuracy) in enumerate(self._epochs) if accuracy > PROMISE - 1e-6]
        seconds, accuracy = self._epochs[-1]
        epoch, until = (kept[0] + 1, self._epochs[kept[0]][0]) if kept else (0, 0.0)
        return {"seconds": seconds, "accuracy": accuracy, "epoch": epoch, "until": until}


@dataclass(frozen=True)
class Run:
    """One process: the JSON that it printed, its wall time and its peak memory."""

    printed: dict[str, float]
    wall: float  # seconds
    peak: float  # MB

    @property
    def seconds(self) -> float:
        """The seconds that the arm measured, or else the wall time."""
        return self.printed.get("seconds", self.wall)


def run(*command: str, cwd: Path = ROOT) -> Run:
    """Run python with these arguments to its end.

    Raises:
        RuntimeError: it failed; with its stderr.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        output = process.stdout.read()  # type: ignore[union-attr]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)}: {errors.read().decode()}")
    last = output.splitlines()[-1] if output.strip() else b""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss
    return Run(json.loads(last) if last.startswith(b"{") else {}, wall, usage.ru_maxrss / unit)


def arm(name: str, images: int, epochs: int, *rest: str) -> tuple[str, ...]:
    """The command of one arm."""
    return ("-m", "tools.benchmarks.measurements", name, str(images), str(epochs), *rest)


def take_turns(
    arms: dict[str, tuple[str, ...]], repeats: int, cwd: Path = ROOT
) -> dict[str, list[Run]]:
    """Run every arm `repeats` times, one after the other in each round."""
    runs: dict[str, list[Run]] = {name: [] for name in arms}
    with tqdm(total=repeats * len(arms), unit="run", disable=None) as bar:
        for _ in range(repeats):
            for name, command in arms.items():
                bar.set_description(name)
                runs[name].append(run(*command, cwd=cwd))
                bar.update()
    return runs


def spread(values: Iterable[float], digits: int = 2) -> list[str]:
    """Minimum, median and maximum."""
    ordered = sorted(values)
    three = ordered[0], statistics.median(ordered), ordered[-1]
    return [f"{value:.{digits}f}" for value in three]


def median(runs: Sequence[Run]) -> float:
    """The median of the seconds that the arm measured."""
    return statistics.median(run.seconds for run in runs)


def machine() -> str:
    """The machine and the packages."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "torchvision", "numba", "dvc")
    )
    return (
        f"{len(names)} cores of {names[0]}, {platform.system()}, Python "
        f"{platform.python_version()}, {versions}. Ours on one thread, its convolutions on "
        "two; the plain script with torch's own choice of threads."
    )


def sections(text: str) -> dict[str, str]:
    """The parts of the file by the number in their heading; the text before them is ''."""
    parts = re.split(r"^(?=## \d)", text, flags=re.MULTILINE)
    numbered = ((part[3:].partition(".")[0] if part[:3] == "## " else "", part) for part in parts)
    return {number: part for number, part in numbered if part}
