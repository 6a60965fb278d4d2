"""The table of convolutions, and its picture: how near each is to what a core can do."""

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from digits.reporting.pictures import ACCENT, INK, png
from digits.reporting.tables import markdown
from tools.benchmarks.kernels import DIRECTIONS, RECIPES, Convolution, convolutions, network_of
from tools.benchmarks.measure import module, on_threads, spread, take_turns

WHO = {"ours": ("o", ACCENT), "oneDNN": ("^", "#d55e00")}
DESCRIBED = next(path for path in RECIPES if path.stem == "described")

Figures = dict[str, list[float]]  # of each process, by the names of kernels.py


def roofline(repeats: int, rounds: int) -> tuple[str, bytes]:
    """Measure; the section of results.md, and the PNG."""
    command = on_threads(1, module("tools.benchmarks.kernels", rounds))
    runs = take_turns({"convolutions": command}, repeats)["convolutions"]
    figures = {name: [run.printed[name] for run in runs] for name in runs[0].printed}
    ordered = sorted({each for path in RECIPES for each in convolutions(network_of(path))})
    shares = " and ".join(f"**{100 * _share(figures, who):.0f} %** by {who}" for who in WHO)
    text = "\n\n".join([
        "## 3. Convolutions\n\nGFLOP/s of the convolutions of every recipe on one thread, batches "
        f"of 128 images: inputs→outputs @ width. Each process takes the median of {rounds} rounds, "
        "in which all take turns; oneDNN in channels_last. The ceiling is a loop of independent "
        "multiply-adds in registers; a copy of 256 MB gives the GB/s of memory.",
        markdown(
            ["", "minimum", "median", "maximum"],
            [
                ["ceiling, GFLOP/s", *spread(figures["ceiling"], 1)],
                ["copy, GB/s read and written", *spread(figures["copy"], 1)],
            ],
        ),
        markdown(_HEADER, _rows(figures, ordered)),
        f"Over all convolutions of a step of the described recipe, share of the ceiling: {shares}.",
        "![Convolutions under the roofline](roofline.png)",
    ])  # fmt: skip
    return text, _draw(figures, ordered)


_HEADER = [
    "",
    "ours, minimum",
    "median",
    "maximum",
    "oneDNN, minimum",
    "median",
    "maximum",
    "ratio",
]


def _rows(figures: Figures, ordered: Sequence[Convolution]) -> list[list[str]]:
    rows: list[list[str]] = []
    for each in ordered:
        for direction in DIRECTIONS:
            if f"ours, {direction}, {each}" in figures:
                both = [figures[f"{who}, {direction}, {each}"] for who in WHO]
                ratio = statistics.median(both[0]) / statistics.median(both[1])
                spreads = [value for values in both for value in spread(values, 1)]
                rows.append([f"{each}, {direction}", *spreads, f"{ratio:.2f}"])
    return rows


def _share(figures: Figures, who: str) -> float:
    """Of the ceiling, over the time of all convolutions of a step of the described recipe."""
    flop = time = 0.0
    for each in convolutions(network_of(DESCRIBED)):
        for direction in DIRECTIONS:
            if speeds := figures.get(f"{who}, {direction}, {each}"):
                flop += each.flop
                time += each.flop / statistics.median(speeds)
    return flop / time / statistics.median(figures["ceiling"])


def _draw(figures: Figures, ordered: Sequence[Convolution]) -> bytes:
    """A panel for each direction; medians."""
    figure = Figure(figsize=(10, 9), layout="constrained", dpi=100)
    panels: Sequence[Axes] = figure.subplots(len(DIRECTIONS), sharex=True, sharey=True)
    for axes, direction in zip(panels, DIRECTIONS, strict=True):
        _draw_roof(axes, *(statistics.median(figures[name]) for name in ("ceiling", "copy")))
        axes.text(0.02, 0.06, direction, transform=axes.transAxes, fontsize=11, color=INK)
        for who, (marker, color) in WHO.items():
            for each in ordered:
                if speeds := figures.get(f"{who}, {direction}, {each}"):
                    label = who if each == ordered[0] else None
                    speed = statistics.median(speeds)
                    axes.plot(each.intensity, speed, marker, color=color, label=label, alpha=0.85)
        for each in ordered:
            axes.axvline(each.intensity, color="#dddddd", lw=0.7, zorder=0)
    alike: dict[float, list[str]] = {}
    for each in ordered:
        name, size = str(each).split(" @ ")
        names = alike.setdefault(each.intensity, [name])
        names.append(f"{'@ ' if len(names) == 1 else ''}{size}")
    for intensity, (name, *sizes) in alike.items():
        panels[0].text(
            intensity, 1.02, f"{name} {', '.join(sizes)}", rotation=90, fontsize=7.5, ha="center",
            va="bottom", transform=panels[0].get_xaxis_transform(), color=INK,
        )  # fmt: skip
    panels[0].legend(loc="lower center", frameon=False)
    panels[-1].set_xlabel("FLOP per byte of features, each read or written once", color=INK)
    figure.suptitle("Convolutions under the roofline of one core", fontsize=12, color=INK)
    return png(figure)


def _draw_roof(axes: Axes, ceiling: float, bandwidth: float) -> None:
    """The axes, and what bounds everything: memory, and multiply-adds."""
    axes.plot([1, ceiling / bandwidth, 100], [bandwidth, ceiling, ceiling], color=INK, lw=1)
    axes.set(xscale="log", yscale="log", xlim=(2, 64), ylim=(ceiling / 8, 1.3 * ceiling))
    axes.set_xticks([2, 4, 8, 16, 32, 64])
    axes.set_yticks([20, 40, 60, 80, 100])
    axes.set_ylabel("GFLOP/s", color=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(ScalarFormatter())
    axes.text(8, 1.05 * ceiling, f"multiply-adds: {ceiling:.0f} GFLOP/s", fontsize=9, color=INK)
    axes.text(2.1, 1.8 * bandwidth, f"memory: {bandwidth:.0f} GB/s", fontsize=9, color=INK)
