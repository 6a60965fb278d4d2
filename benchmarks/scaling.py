"""How time and memory grow, and what a busy machine does to them: tables 4 and 5."""

import os
import subprocess
import sys
from contextlib import ExitStack

from benchmarks.measure import arm, median, spread, table, take_turns

BUSY = "while True: pass"


def growth(images: int, repeats: int) -> str:
    """Table 4: time and memory against epochs, images and the size of the network."""
    few = images // 4
    epochs = {f"{n} epochs of {few:,} images": arm("ours", few, n) for n in (1, 5, 19)}
    sizes = {f"{n:,} images": arm("ours", n, 1) for n in (images, images * 4)}
    networks = {
        f"blocks {blocks}": arm("ours", few, 1, blocks)
        for blocks in (
            "4,pool,8,pool,16,pool",
            "8,pool,16,pool,32,pool",
            "16,pool,32,pool,64,pool",
            "8,8,pool,16,16,pool,32,32,pool",
        )
    }
    runs = take_turns(epochs | sizes | networks, repeats)
    units = [1, 5, 19, 4, 16] + [1] * len(networks)
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
        f"## 4. Growth\n\nSeconds of training, one epoch of {few:,} images unless it says "
        f"otherwise; of the median, the share of {few:,} images; and peak memory.\n\n"
        + table(["", "minimum", "median", "maximum", f"per {few:,}", "MB"], rows)
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
