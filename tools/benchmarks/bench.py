"""Run every benchmark and write tools/benchmarks/results.md: `python -m tools.benchmarks.bench`.

Each measurement is a process of its own; the arms of a table take turns, so that a slow minute
of the machine hits all of them. `--quick` does the same on few images and only prints;
`--tables 6 7` measures only these and leaves the others in the file as they are.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from digits.reporting.tables import markdown
from tools.benchmarks.measure import (
    PROMISE,
    ROOT,
    Run,
    arm,
    machine,
    median,
    run,
    sections,
    spread,
    take_turns,
)

RESULTS = ROOT / "tools/benchmarks/results.md"
IMAGES = 60_000
SPREAD = ["", "minimum", "median", "maximum"]
BUSY = "while True: pass"


def plain(images: int, epochs: int, *rest: str) -> tuple[str, ...]:
    """The command of the plain script."""
    return ("-m", "tools.benchmarks.plain_script", str(images), str(epochs), *rest)


def against_others(images: int, repeats: int) -> str:
    """Tables 1 and 2: the plain script, and the floor."""
    runs = take_turns(
        {
            "ours": arm("ours", images, 1),
            "floor": arm("floor", images, 1),
            "plain script, 0 workers": plain(images, 1, "0"),
            "plain script, 2 workers": plain(images, 1, "2"),
        },
        repeats,
    )
    floor, own = runs.pop("floor"), runs.pop("ours")
    whole = run(*arm("ours", images, 19)).seconds
    rows = [["ours", *seconds(own), f"{whole:.0f}", "1.0"]]
    for name, others in runs.items():
        all_epochs, ratio = f"({19 * median(others):.0f})", f"{median(others) / median(own):.1f}"
        rows.append([name, *seconds(others), all_epochs, ratio])
    best = min(median(others) for others in runs.values())
    overhead = 100 * (median(own) / median(floor) - 1)
    return "\n\n".join(
        [
            "## 1. Against the plain script\n\nThe described recipe, seconds per epoch of "
            f"{images:,} images. In brackets: 19 times the median, not run.",
            markdown([*SPREAD, "19 epochs", "times ours"], rows),
            f"The plain script at its best number of workers takes **{best / median(own):.1f} "
            "times** as long.",
            "## 2. Against the floor\n\nSeconds per epoch; the floor is the same steps on "
            "batches that are augmented and in memory.",
            markdown(SPREAD, [["ours", *seconds(own)], ["floor", *seconds(floor)]]),
            f"Overhead over the floor, of medians: **{overhead:.1f} %**.",
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
        [name, *spread(each.wall for each in times), megabytes(times)]
        for name, times in runs.items()
    ]
    title = "## 3. The pipeline\n\nSeconds from start to end, and peak memory.\n\n"
    return title + markdown([*SPREAD, "MB"], rows)


def growth(images: int, repeats: int) -> str:
    """Table 4: time and memory against epochs, images and the size of the network."""
    few = images // 4
    networks = ("4,pool,8,pool,16,pool", "8,pool,16,pool,32,pool", "16,pool,32,pool,64,pool")
    arms = {f"{n} epochs of {few:,} images": arm("ours", few, n) for n in (1, 5, 19)}
    arms |= {f"{n:,} images": arm("ours", n, 1) for n in (images, images * 4)}
    arms |= {f"blocks {blocks}": arm("ours", few, 1, blocks) for blocks in networks}
    units = [1, 5, 19, 4, 16, 1, 1, 1]
    rows = [
        [name, *seconds(times), f"{median(times) / unit:.2f}", megabytes(times)]
        for (name, times), unit in zip(take_turns(arms, repeats).items(), units, strict=True)
    ]
    return (
        f"## 4. Growth\n\nSeconds of training, one epoch of {few:,} images unless stated "
        f"otherwise; the median per {few:,} images; and peak memory.\n\n"
        + markdown([*SPREAD, f"per {few:,}", "MB"], rows)
    )


def beside_a_busy_process(images: int, repeats: int) -> str:
    """Table 5: the same epoch while another process keeps every core busy."""
    command = {"ours": arm("ours", images, 1)}
    quiet: list[Run] = []
    busy: list[Run] = []
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
        + markdown(SPREAD, [["quiet", *seconds(quiet)], ["busy", *seconds(busy)]])
        + f"\n\nOf medians: **{median(busy) / median(quiet):.2f} times**."
    )


def until_the_promise(images: int, epochs: int) -> str:
    """Table 6: seconds until the test accuracy that the described recipe promises."""
    commands = {"plain script": plain(images, epochs, "0", "score")}
    for path in sorted((ROOT / "recipes").glob("*.yaml")):
        commands[f"`recipes/{path.name}`"] = arm("until", images, epochs, path.stem)
    rows: list[list[str]] = []
    for name, command in commands.items():
        laps = run(*command).printed
        reached = (
            [f"{laps['until']:.0f}", f"{laps['epoch']:.0f}"] if laps["epoch"] else ["never", ""]
        )
        rows.append([name, *reached, f"{laps['seconds']:.0f}", f"{100 * laps['accuracy']:.2f}"])
    return (
        f"## 6. Until {100 * PROMISE:.2f} % of the test set\n\nSeconds of training until the first "
        f"epoch of {epochs} after which that share of the test images is right, with seed 0, one "
        "run; reported after the fact, never used to choose.\n\n"
        + markdown(["", "seconds until", "epoch", "seconds in all", "at the end, %"], rows)
    )


def of_a_study(images: int, epochs: int) -> str:
    """Table 7: what the second core is worth to a study."""
    one, two = (run(*arm("seeds", images, epochs, cores)).seconds for cores in "12")
    return (
        f"## 7. A study\n\nSeconds for 4 seeds of {epochs} epochs of {images:,} images, Ray's "
        f"start included, one run: {one:.0f} on one core, {two:.0f} on two, **{one / two:.2f} "
        "times** the throughput."
    )


def seconds(runs: list[Run]) -> list[str]:
    """Minimum, median and maximum of the seconds."""
    return spread(each.seconds for each in runs)


def megabytes(runs: list[Run]) -> str:
    """The peak memory."""
    return f"{max(each.peak for each in runs):.0f}"


def main() -> None:
    """Measure, print, and write the file unless quick."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, nothing written")
    parser.add_argument("--tables", nargs="+", default=[], help="numbers; without it, all")
    options = parser.parse_args()
    images, repeats = (5_120, 1) if options.quick else (IMAGES, 5)
    measurements = {
        "1": lambda: against_others(images, repeats),  # and 2
        "3": lambda: of_the_pipeline(repeats),
        "4": lambda: growth(images, repeats),
        "5": lambda: beside_a_busy_process(images, repeats),
        "6": lambda: until_the_promise(images, 2 if options.quick else 19),
        "7": lambda: of_a_study(images, 2 if options.quick else 3),
    }
    unknown = set(options.tables) - set(measurements)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(measurements)}")
    kept: Mapping[str, str] = sections(RESULTS.read_text()) if options.tables else {}
    parts = dict(kept)
    parts.setdefault(
        "",
        "# Benchmarks\n\nWritten by `make bench`, which needs an otherwise idle machine. Each "
        f"figure is of {repeats} repeats, unless it says one run; each repeat is a process of its "
        f"own, and the arms take turns.\n\n{machine()}",
    )
    for number, measure in measurements.items():
        if number in options.tables or not options.tables:
            parts |= sections(measure())
    text = "\n\n".join(parts[number].strip() for number in sorted(parts)) + "\n"
    if not options.quick:
        RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
