"""The tables of results.md, times.md and accuracy.md; roofline.py has the one of convolutions."""

import shutil
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from digits.reporting.tables import markdown
from study.pictures import PLAIN
from tools.benchmarks.kernels import RECIPES
from tools.benchmarks.measure import (
    ROOT,
    Run,
    arm,
    machine,
    median,
    module,
    on_one_core,
    on_threads,
    plain,
    run,
    spread,
    take_turns,
)

NETWORKS = ["4 pool 8 pool 16 pool", "16 pool 32 pool 64 pool"]  # half and twice the described one


def table(
    runs: Mapping[str, Sequence[Run]],
    header: Sequence[str] = (),
    cells: Callable[[Sequence[Run]], list[str]] = lambda runs: [],
) -> str:
    """Minimum, median and maximum of each arm's seconds, and more cells under their header."""
    rows = [
        [name, *spread(run.seconds for run in each), *cells(each)] for name, each in runs.items()
    ]
    return markdown(["", "minimum", "median", "maximum", *header], rows)


def megabytes(runs: Sequence[Run]) -> str:
    """The peak memory."""
    return f"{max(run.peak for run in runs):.0f}"


def against_the_plain_script(images: int, repeats: int) -> str:
    """Table 1: all cores, and one."""
    own = arm("ours", images, 1, "described")
    runs = take_turns(
        {
            "ours": own,
            "plain script, 0 workers": plain(images, 1, 0),
            "plain script, 2 workers": plain(images, 1, 2),
            "ours on one core": on_one_core(own),
            "plain script on one core": on_one_core(plain(images, 1, 0)),
        },
        repeats,
    )
    ours, none, two, ours_on_one, plain_on_one = map(median, runs.values())
    return (
        "## 1. Against the plain script\n\nThe described recipe, seconds per epoch of "
        f"{images:,} images.\n\n{table(runs)}\n\nThe plain script at its best takes "
        f"**{min(none, two) / ours:.1f} times** as long on all cores and "
        f"**{plain_on_one / ours_on_one:.1f} times** on one."
    )


def of_recipes(images: int, repeats: int) -> str:
    """Table 2: every recipe on one thread and on two."""
    arms = {
        f"`{path.stem}`, {count} thread{'s' * (count > 1)}": on_threads(
            count, arm("ours", images, 1, path.stem)
        )
        for path in RECIPES
        for count in (1, 2)
    }
    return (
        f"## 2. Every recipe\n\nSeconds per epoch of {images:,} images.\n\n"
        + table(take_turns(arms, repeats))
    )  # fmt: skip


def beside_busy_processes(images: int, repeats: int) -> str:
    """Table 4: the same epoch while other processes keep every core busy."""
    arms = {"quiet": "ours", "busy": "beside_others"}
    runs = take_turns(
        {name: arm(each, images, 1, "described") for name, each in arms.items()}, repeats
    )
    return (
        f"## 4. Beside busy processes\n\nSeconds per epoch of {images:,} images of the described "
        "recipe, alone and while every core also runs another busy process.\n\n"
        f"{table(runs)}\n\nOf medians: **{median(runs['busy']) / median(runs['quiet']):.2f} "
        "times**."
    )


def of_the_pipeline(repeats: int) -> str:
    """Table 5: commands and stages as users wait for them."""
    training = "`train`, from its start to the end of its first steps"
    first_step = arm("first_step", 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("data", "metrics", "models"):
            shutil.copytree(ROOT / name, Path(folder, name))
        shutil.copy(ROOT / "params.yaml", folder)
        for compiled in ROOT.glob("digits/network/fast/__pycache__/*.nbc"):
            compiled.unlink()
        first = run(first_step, Path(folder))
        stages = {
            "`preprocess`": module("stages.preprocess"),
            "`evaluate`": module("stages.evaluate"),
            training: first_step,
        }
        runs = take_turns(stages, repeats, Path(folder))
    runs[f"{training}, in a new clone, which compiles; one run"] = [first]
    runs |= take_turns({"`dvc repro` with nothing to do": module("dvc", "repro")}, repeats)
    title = "## 5. The pipeline\n\nSeconds from start to end, and peak memory.\n\n"
    return title + table(runs, ["MB"], lambda each: [megabytes(each)])


def growth(images: int, repeats: int) -> str:
    """Table 6: time and memory against epochs, images and the size of the network."""
    few = images // 4
    arms = {
        f"epochs {epochs}, images {count:,}": arm("ours", count, epochs, "described")
        for epochs, count in ((1, few), (10, few), (1, 4 * few), (1, 16 * few))
    }
    arms |= {f"epochs 1, images {few:,}, blocks {each}": arm("ours", few, 1, "described", each)
             for each in NETWORKS}  # fmt: skip
    return (
        "## 6. Growth\n\nSeconds of training by the described recipe; "
        f"the median per {few:,} images; and peak memory.\n\n"
        + table(
            take_turns(arms, repeats),
            [f"per {few:,}", "MB"],
            lambda each: [f"{median(each) * few / each[0].printed['images']:.2f}", megabytes(each)],
        )
    )


def to_the_end(recipes: Sequence[str], images: int, epochs: int, repeats: int) -> dict[str, bytes]:
    """times.md and times.csv.

    Args:
        recipes: their names.
        images: of the plain script, and at most of the recipes.
        epochs: of the recipes; 0 for their own.
        repeats: of each.
    """
    arms = {name: arm("whole", images, epochs, name) for name in recipes}
    runs = take_turns({**arms, PLAIN: plain(images, 1, 0)}, repeats)
    content = (
        "# To the last epoch\n\nSeconds of training of each recipe, on all cores, from the first "
        f"weights to the last, and of one epoch of the plain script, in one run of {repeats} "
        "repeats that took turns. Written by `python -m tools.benchmarks.bench --times`.\n\n"
        f"{machine()}\n\n{table(runs)}\n"
    )
    rows = [",".join([name, *spread(run.seconds for run in each)]) for name, each in runs.items()]
    csv = "\n".join(["arm,minimum,median,maximum", *rows]) + "\n"
    return {"times.md": content.encode(), "times.csv": csv.encode()}


def of_a_study(images: int, epochs: int) -> str:
    """Table 7: what the second core is worth to a study."""
    one, two = (run(arm("seeds", images, epochs, cores)).seconds for cores in (1, 2))
    return (
        f"## 7. A study\n\nSeconds for 4 seeds of {epochs} epochs of {images:,} images, Ray's "
        f"start included, one run: {one:.0f} on one core, {two:.0f} on two, **{one / two:.2f} "
        "times** the throughput."
    )


def accuracy(images: int, epochs: int, seeds: int) -> str:
    """accuracy.md."""
    return (
        "# To the end\n\nWritten by `python -m tools.benchmarks.bench --accuracy`.\n\n"
        f"{machine()}\n\n{parity(images, epochs, seeds)}\n"
    )


def parity(images: int, epochs: int, seeds: int) -> str:
    """The fast path beside torch, each on one thread."""
    runs: dict[str, list[Run]] = {"TorchTrainer": [], "FastTrainer": []}
    for seed in range(seeds):
        arms = {kind: on_threads(1, arm("parity", images, epochs, kind, seed)) for kind in runs}
        for kind, measured in take_turns(arms, 1).items():
            runs[kind] += measured

    def scores(each: Sequence[Run]) -> list[str]:
        percents = [100 * run.printed["accuracy"] for run in each]
        return [f"{statistics.mean(percents):.3f}", f"{statistics.stdev(percents):.3f}"]

    return (
        f"## The fast path and torch\n\nThe described recipe, {epochs} epochs with seeds 0 to "
        f"{seeds - 1}, each by both in turn, on one thread: seconds per epoch, and accuracy on the "
        "test set.\n\n" + table(runs, ["mean accuracy, %", "sd"], scores)
    )
