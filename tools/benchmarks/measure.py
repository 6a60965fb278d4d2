"""Measure processes: their time and memory, in turns, and what the machine is."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).parents[2]
PINNED = ["ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"]
BUSY = "while True: pass"

Measurement = dict[str, float]
Command = tuple[str, ...]


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


def run(command: Command, cwd: Path = ROOT) -> Run:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with its stderr.
    """
    ended = subprocess.run(
        module("tools.benchmarks.launch", *command),
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)}: {ended.stderr}")
    *lines, last = ended.stdout.splitlines()
    wall, peak = json.loads(last)
    printed = lines[-1] if lines else ""
    return Run(json.loads(printed) if printed.startswith("{") else {}, wall, peak)


def module(name: str, *arguments: object) -> Command:
    """The command that runs a module."""
    return (sys.executable, "-m", name, *map(str, arguments))


def arm(name: str, images: int, epochs: int, *rest: object) -> Command:
    """The command of one measurement of training."""
    return module("tools.benchmarks.measurements", name, images, epochs, *rest)


def plain(images: int, epochs: int, *rest: object) -> Command:
    """The command of the plain script, without what `import digits` set in this process."""
    unset = [f"--unset={name}" for name in PINNED]
    return ("env", *unset, *module("tools.benchmarks.plain_script", images, epochs, *rest))


def on_threads(count: int, command: Command) -> Command:
    """The command with so many threads."""
    return ("env", f"OMP_NUM_THREADS={count}", *command)


def on_one_core(command: Command) -> Command:
    """The command where it may use a single core."""
    return ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *command)


def take_turns(arms: Mapping[str, Command], repeats: int, cwd: Path = ROOT) -> dict[str, list[Run]]:
    """Run every arm `repeats` times, one after the other in each round."""
    runs: dict[str, list[Run]] = {name: [] for name in arms}
    with tqdm(total=repeats * len(arms), unit="run", disable=None) as bar:
        for _ in range(repeats):
            for name, command in arms.items():
                bar.set_description(name)
                runs[name].append(run(command, cwd))
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
        f"{platform.python_version()}, {versions}. Ours uses instructions up to AVX2 and FMA, the "
        "plain script all that torch finds."
    )
