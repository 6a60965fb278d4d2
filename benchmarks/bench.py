"""Run every benchmark and write benchmarks/results.md: `python -m benchmarks.bench`.

Each measurement is a process of its own; the arms of a table take turns, so that a slow minute
of the machine falls on all of them. `--quick` does the same on few images, prints and writes
nothing; `--tables 6 7` measures these alone and leaves the others in the file as they are.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.measure import (
    ROOT,
    arm,
    machine,
    median,
    run,
    sections,
    spread,
    table,
    take_turns,
)
from benchmarks.promise import PROMISE
from benchmarks.scaling import beside_a_busy_process, growth

RESULTS = ROOT / "benchmarks/results.md"
IMAGES = 60_000


def against_others(images: int, repeats: int) -> str:
    """Tables 1 and 2: what users have, and the floor."""
    names = {
        "ours": arm("ours", images, 1),
        "floor: the steps alone": arm("floor", images, 1),
        "plain script, 0 workers": arm("plain", images, 1, "0"),
        "plain script, 2 workers": arm("plain", images, 1, "2"),
        "DataLoader over tensors, 0 workers": arm("tensors", images, 1, "0"),
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
            f"product of 1024 x 1024 on the threads of the convolutions {limit:.0f}.",
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


def until_the_promise(images: int, epochs: int) -> str:
    """Table 6: seconds until a test accuracy that the described recipe promises."""
    rows = []
    for name in ("plain", *sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))):
        found = run("-m", "benchmarks.promise", name, str(images), str(epochs)).printed
        reached = f"{found['until']:.0f}" if found["epoch"] else "never"
        rows.append(
            [
                "plain script" if name == "plain" else f"`recipes/{name}.yaml`",
                reached,
                f"{found['epoch']:.0f}" if found["epoch"] else "",
                f"{found['seconds']:.0f}",
                f"{100 * found['accuracy']:.2f}",
            ]
        )
    return (
        f"## 6. Until {100 * PROMISE:.2f} % of the test set\n\nSeconds of training until the first "
        f"epoch of {epochs} after which so many of the test images are right, with seed 0, one "
        "run; reported after the fact, nothing is chosen by it.\n\n"
        + table(["", "seconds until", "epoch", "seconds in all", "at the end, %"], rows)
    )


def of_a_study(images: int, epochs: int) -> str:
    """Table 7: what the second core is worth to a study."""
    one, two = (run(*arm("seeds", images, epochs, cores)).seconds for cores in "12")
    return (
        f"## 7. A study\n\nSeconds for 4 seeds of {epochs} epochs of {images:,} images, Ray's "
        f"start included, one run: {one:.0f} on one core, {two:.0f} on two, **{one / two:.2f} "
        "times** the throughput."
    )


def of_a_gpu() -> str:
    """Table 8: what is left to do."""
    return "## 8. GPU\n\nNot timed: there was none at hand."


def main() -> None:
    """Measure, print, and write the file unless quick."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, nothing written")
    parser.add_argument("--tables", nargs="+", default=[], help="numbers; without it, all")
    chosen = parser.parse_args()
    images, repeats = (5_120, 2) if chosen.quick else (IMAGES, 5)
    head = (
        "# Benchmarks\n\nWritten by `make bench`, which wants a machine that does nothing else. "
        f"Where it does not say one run, each figure is of {repeats} repeats, each in a process of "
        "its own, taking turns.\n\n"
        f"{machine()}"
    )
    measurements = {
        "1": lambda: against_others(images, repeats),  # and 2
        "3": lambda: of_the_pipeline(repeats),
        "4": lambda: growth(images, repeats),
        "5": lambda: beside_a_busy_process(images, repeats),
        "6": lambda: until_the_promise(images, 2 if chosen.quick else 19),
        "7": lambda: of_a_study(images, 2 if chosen.quick else 3),
        "8": of_a_gpu,
    }
    unknown = set(chosen.tables) - set(measurements)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(measurements)}")
    found = {} if chosen.quick or not chosen.tables else sections(RESULTS.read_text())
    found.setdefault("", head)
    for number, measure in measurements.items():
        if number in chosen.tables or not chosen.tables:
            found |= sections(measure())
    text = "\n\n".join(found[number].strip() for number in sorted(found)) + "\n"
    if not chosen.quick:
        RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
