"""Run every benchmark and write results.md and roofline.png: `python -m tools.benchmarks.bench`.

Each measurement is a process of its own; the arms of a table take turns, so that a slow minute
of the machine hits all of them. `--quick` does the same on few images and only prints. `--times`
trains every recipe to its end instead and writes times.md and times.csv, or prints those of the
recipes that are named; `--accuracy` trains with torch beside the fast path and writes accuracy.md.
Each takes about half an hour.
"""

import argparse
import time

from tools.benchmarks import tables
from tools.benchmarks.kernels import RECIPES
from tools.benchmarks.measure import ROOT, machine
from tools.benchmarks.roofline import roofline


def results(quick: bool) -> dict[str, bytes]:
    """Measure everything: results.md and roofline.png."""
    images, repeats = (3072, 1) if quick else (60_000, 3)
    begun = time.perf_counter()
    convolutions, picture = roofline(repeats, 3 if quick else 30)
    parts = [
        tables.against_the_plain_script(images, repeats),
        tables.of_recipes(images, repeats),
        convolutions,
        tables.beside_busy_processes(images, repeats),
        tables.of_the_pipeline(repeats),
        tables.growth(images, repeats),
        tables.of_a_study(images, 1 if quick else 3),
    ]
    title = (
        "# Benchmarks\n\nWritten by `make bench` in one run of "
        f"{(time.perf_counter() - begun) / 60:.0f} minutes, on an otherwise idle machine. Every "
        f"figure is of {repeats} repeats, unless it says one run; each repeat is a process of its "
        f"own, and the arms of a table take turns.\n\n{machine()}"
    )
    return {"results.md": "\n\n".join([title, *parts]).encode() + b"\n", "roofline.png": picture}


def main() -> None:
    """Measure, print, and write the files unless quick."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, nothing written")
    parser.add_argument(
        "--times", nargs="*", metavar="RECIPE", help="only how long recipes take; printed if named"
    )
    parser.add_argument("--accuracy", action="store_true", help="only torch beside the fast path")
    options = parser.parse_args()
    if options.accuracy:
        images, epochs, seeds = (2560, 1, 2) if options.quick else (60_000, 19, 4)
        files = {"accuracy.md": tables.accuracy(images, epochs, seeds).encode()}
    elif options.times is not None:
        measures = (2560, 1, 1) if options.quick else (60_000, 0, 5)
        files = tables.to_the_end(options.times or [path.stem for path in RECIPES], *measures)
    else:
        files = results(options.quick)
    for name, content in files.items():
        if name.endswith(".md"):
            print(content.decode())
        if not (options.quick or options.times):
            (ROOT / "tools/benchmarks" / name).write_bytes(content)


if __name__ == "__main__":
    main()
