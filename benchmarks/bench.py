"""Run every benchmark and write benchmarks/results.md: `python -m benchmarks.bench [--quick]`.

Each measurement is a process of its own; the arms of a table take turns, so that a slow minute
of the machine falls on all of them. `--quick` does the same on few images, prints and writes
nothing.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from stages.lib import parameters

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results.md"
IMAGES = 60_000
BATCH = 128
BUSY = "while True: pass"


@dataclass(frozen=True)
class Run:
    """One process: what it printed, its wall time and its peak memory."""

    printed: dict[str, float]
    wall: float  # seconds
    peak: float  # MB

    @property
    def seconds(self) -> float:
        """What the arm timed itself, or else the wall time."""
        return self.printed.get("seconds", self.wall)


def run(*command: str, cwd: Path = ROOT) -> Run:
    """Run python with these arguments to its end.

    Raises:
        RuntimeError: it failed; with what it wrote to stderr.
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
    return ("-m", "benchmarks.arms", name, str(images), str(epochs), *rest)


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
    found = ordered[0], statistics.median(ordered), ordered[-1]
    return [f"{value:.{digits}f}" for value in found]


def median(runs: Sequence[Run]) -> float:
    """The median of what the arm timed."""
    return statistics.median(run.seconds for run in runs)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def against_others(images: int, repeats: int) -> str:
    """Tables 1 and 2: what users have, and the floor."""
    names = {
        "ours": arm("ours", images, 1),
        "floor: the steps alone": arm("floor", images, 1),
        "plain script, 0 workers": arm("plain", images, 1, "0"),
        "plain script, 2 workers": arm("plain", images, 1, "2"),
        "DataLoader over tensors, 0 workers": arm("tensors", images, 1, "0"),
        "DataLoader over tensors, 2 workers": arm("tensors", images, 1, "2"),
        "matrix product, 1024 x 1024": arm("matmul", 1024, 200),
    }
    runs = take_turns(names, repeats)
    product, bottom, own = (
        runs.pop(name) for name in ("matrix product, 1024 x 1024", "floor: the steps alone", "ours")
    )
    whole = run(*arm("ours", images, 19)).seconds
    count = run(*arm("operations", images, 1)).printed["operations"]
    rate = count / median(own) / 1e9
    limit = 2 * 1024**3 / median(product) / 1e9
    best = min(median(others) for name, others in runs.items() if name.startswith("plain"))
    rows = [["ours", *spread(each.seconds for each in own), f"{whole:.0f}", "1.0"]]
    rows += [
        [
            name,
            *spread(each.seconds for each in others),
            f"({19 * median(others):.0f})",
            f"{median(others) / median(own):.1f}",
        ]
        for name, others in runs.items()
    ]
    header = ["", "minimum", "median", "maximum", "19 epochs", "times ours"]
    overhead = 100 * (median(own) / median(bottom) - 1)
    return "\n\n".join(
        [
            "## 1. Against what users have\n\nThe described recipe, seconds per epoch of "
            f"{images:,} images. In brackets: 19 times the median, not run.",
            table(header, rows),
            f"The plain script at its best number of workers takes **{best / median(own):.1f} "
            "times** as long.",
            "## 2. Against the floor\n\nSeconds per epoch; the floor is the same steps on "
            "batches that are augmented and in memory.",
            table(
                ["", "minimum", "median", "maximum"],
                [
                    ["ours", *spread(each.seconds for each in own)],
                    ["floor", *spread(each.seconds for each in bottom)],
                ],
            ),
            f"Overhead over the floor, of medians: **{overhead:.1f} %**. Training achieves "
            f"{rate:.0f} GFLOP/s ({count / 1e9:.0f} GFLOP an epoch, counted by torch), a matrix "
            f"product of 1024 x 1024 on the same threads {limit:.0f}.",
        ]
    )


def of_the_pipeline(repeats: int) -> str:
    """Table 3: commands and stages as users wait for them."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("data", "models"):
            shutil.copytree(ROOT / name, Path(folder, name))
        shutil.copy(ROOT / "params.yaml", folder)
        stages = {
            "`preprocess`": ("-m", "stages.preprocess"),
            "`evaluate`": ("-m", "stages.evaluate"),
            "`train`, from its start to its first step": arm("first_step", 0, 0),
        }
        runs = take_turns(stages, repeats, Path(folder))
    runs |= take_turns({"`dvc repro` with nothing to do": ("-m", "dvc", "repro")}, repeats)
    rows = [
        [
            name,
            *spread(each.wall for each in found),
            f"{max(each.peak for each in found):.0f}",
        ]
        for name, found in runs.items()
    ]
    return "## 3. The pipeline\n\nSeconds from start to end, and peak memory.\n\n" + table(
        ["", "minimum", "median", "maximum", "MB"], rows
    )


def growth(images: int, repeats: int) -> str:
    """Table 4: time and memory against epochs, images and the size of the network."""
    epochs = {f"{n} epochs": arm("ours", images, n) for n in (1, 5, 19)}
    sizes = {f"{n:,} images": arm("ours", n, 1) for n in (images // 4, images, images * 4)}
    networks = {
        f"blocks {blocks}": arm("ours", images, 1, blocks)
        for blocks in (
            "4,pool,8,pool,16,pool",
            "8,pool,16,pool,32,pool",
            "16,pool,32,pool,64,pool",
            "8,8,pool,16,16,pool,32,32,pool",
        )
    }
    runs = take_turns(epochs | sizes | networks, repeats)
    units = [1, 5, 19, 0.25, 1, 4] + [1] * len(networks)
    rows = [
        [
            name,
            *spread(each.seconds for each in found),
            f"{median(found) / unit:.2f}",
            f"{max(each.peak for each in found):.0f}",
        ]
        for (name, found), unit in zip(runs.items(), units, strict=True)
    ]
    return (
        f"## 4. Growth\n\nSeconds of training on {images:,} images for one epoch, unless it says "
        "otherwise; per epoch of so many images; and peak memory.\n\n"
        + table(["", "minimum", "median", "maximum", "per epoch", "MB"], rows)
    )


def beside_a_busy_process(images: int, repeats: int) -> str:
    """Table 5: the same epoch while another process keeps every core busy."""
    command = {"ours": arm("ours", images, 1)}
    quiet, busy = [], []
    for _ in range(repeats):
        quiet += take_turns(command, 1)["ours"]
        with ExitStack() as stack:
            for _ in range(os.cpu_count() or 1):
                other = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
                stack.callback(other.kill)
            busy += take_turns(command, 1)["ours"]
    return (
        f"## 5. Beside a busy process\n\nSeconds per epoch of {images:,} images, alone and while "
        "every core also runs another busy process.\n\n"
        + table(
            ["", "minimum", "median", "maximum"],
            [
                ["quiet", *spread(each.seconds for each in quiet)],
                ["busy", *spread(each.seconds for each in busy)],
            ],
        )
        + f"\n\nOf medians: **{median(busy) / median(quiet):.2f} times**."
    )


def machine() -> str:
    """What the figures were measured on."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    threads = parameters.read(ROOT / "recipes/described.yaml").train.threads
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "dvc"))
    return (
        f"{len(names)} cores of {names[0]}, {platform.system()}, Python "
        f"{platform.python_version()}, {versions}; `train.threads` {threads}, the plain script "
        "with torch's own choice of threads."
    )


def main() -> None:
    """Run all, print all, and write the file unless quick."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, nothing written")
    quick = parser.parse_args().quick
    images, repeats = (5_120, 2) if quick else (IMAGES, 5)
    parts = [
        "# Benchmarks\n\nWritten by `make bench`, which wants a machine that does nothing else. "
        f"Each figure is of {repeats} repeats, each in a process of its own, taking turns.",
        machine(),
        against_others(images, repeats),
        of_the_pipeline(repeats),
        growth(images, 1 if quick else 3),
        beside_a_busy_process(images, repeats),
        "## 6. GPU\n\nNot timed: there was none at hand.",
    ]
    text = "\n\n".join(parts) + "\n"
    if not quick:
        RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
