"""One measurement in a process of its own: `python -m benchmarks.arms NAME IMAGES EPOCHS ...`.

Prints one JSON object with `seconds`, without start-up and warm-up. Every arm of training
works on data/prepared/train.safetensors, cut or repeated to IMAGES images.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes/described.yaml"
TRAIN = ROOT / "data/prepared/train.safetensors"
DESCRIBED = "8,pool,16,pool,32,pool"
WARM_UP = 1280  # images

Measurement = dict[str, float]


def ours(images: int, epochs: int, blocks: str = DESCRIBED) -> Measurement:
    """`fit` on the described recipe, or on another network."""
    from stages.train import fit

    train, chosen, generator = _inputs(images)

    def run(images: int, epochs: int) -> None:
        part, settings = _part(train, images), chosen.train.model_copy(update={"epochs": epochs})
        network = _network(blocks, generator)
        fit(network, part, _part(train, 0), chosen.augment, settings, generator)

    return _timed(run, images, epochs)


def floor(images: int, epochs: int) -> Measurement:
    """The same steps of the optimizer on batches that are in memory, and nothing else."""
    from stages.lib.augment import augment
    from stages.lib.fused import prepare_processor
    from stages.lib.optimizer import Adam
    from stages.train import train_step

    train, chosen, generator = _inputs(images)
    batches = []
    for raw, labels in zip(
        train.images.split(chosen.train.batch_size),
        train.labels.split(chosen.train.batch_size),
        strict=True,
    ):
        moved = augment(raw.unsqueeze(1).float(), chosen.augment, generator)
        batches.append((train.normalisation(moved), labels))

    def run(images: int, epochs: int) -> None:
        import torch

        prepare_processor()
        network = _network(DESCRIBED, generator).train().to(memory_format=torch.channels_last)
        shown = batches[: -(-images // chosen.train.batch_size)]
        optimizer = Adam(network.parameters(), chosen.train, epochs * len(shown))
        for _ in range(epochs):
            for moved, labels in shown:
                train_step(network, moved, labels, optimizer, generator)

    return _timed(run, images, epochs)


def plain(images: int, epochs: int, workers: str) -> Measurement:
    """The plain torchvision script, with so many loading processes and torch's own threads."""
    return _plain("Pictures", images, epochs, int(workers))


def tensors(images: int, epochs: int, workers: str) -> Measurement:
    """A DataLoader over tensors made beforehand, with so many loading processes."""
    return _plain("Tensors", images, epochs, int(workers))


def _plain(dataset: str, images: int, epochs: int, workers: int) -> Measurement:
    from safetensors import safe_open

    from benchmarks import plain as script

    with safe_open(TRAIN, framework="pt") as file:  # stages, and its pins, are not imported here
        pixels, labels = file.get_tensor("images"), file.get_tensor("labels")

    def run(images: int, epochs: int) -> None:
        kept = _sized(pixels, images), _sized(labels, images)
        script.train(getattr(script, dataset)(*kept), epochs, workers)

    return _timed(run, images, epochs)


def seeds(images: int, epochs: int, cores: str) -> Measurement:
    """Four seeds of the described recipe as a study trains them, on so many cores.

    Ray's start is a part of it.
    """
    os.sched_setaffinity(0, range(int(cores)))  # all that it starts, too
    train, chosen, _ = _inputs(images)

    from study.row import with_train
    from study.seeds import in_parallel

    jobs = [("described", with_train(chosen, epochs=epochs, seed=seed)) for seed in range(4)]
    begun = time.perf_counter()
    rows = list(in_parallel(jobs, train, _part(train, 1000), int(cores)))
    assert len(rows) == len(jobs)
    return {"seconds": time.perf_counter() - begun}


def matmul(size: int, repeats: int) -> Measurement:
    """Seconds of the fastest float32 matrix product of `size`, on the threads of convolutions."""
    import stages  # noqa: F401, I001  sets the numeric environment before torch is imported
    import torch

    from stages.lib.fused import THREADS

    torch.set_num_threads(THREADS)
    left, right = torch.ones(size, size), torch.ones(size, size)
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - begun)
    return {"seconds": min(times)}


def operations(images: int, epochs: int) -> Measurement:
    """Floating-point operations of training, counted by torch on the plain network."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.plain import network

    with FlopCounterMode(display=False) as counter:
        network()(torch.zeros(128, 1, 28, 28)).sum().backward()
    return {"operations": counter.get_total_flops() / 128 * images * epochs}


def first_step(images: int, epochs: int) -> Measurement:
    """The train stage as DVC starts it, up to its first step; the caller takes the time."""
    import stages.train

    def stop(*_: object) -> None:
        print("{}", flush=True)
        os._exit(0)

    stages.train.train_step = stop
    stages.train.main()
    raise AssertionError("the stage ended without a step")


def _inputs(images: int):
    import stages  # noqa: F401, I001  sets the numeric environment before torch is imported
    import torch

    from stages.lib import parameters, splits

    chosen = parameters.read(RECIPE)
    generator = torch.Generator().manual_seed(0)
    return _part(splits.load(TRAIN), images), chosen, generator


def _part(split, images: int):
    """The split cut or repeated to `images` images."""
    from stages.lib.splits import Split

    return Split(_sized(split.images, images), _sized(split.labels, images), split.normalisation)


def _sized(rows, count: int):
    """A tensor cut or repeated to `count` rows."""
    if count > len(rows):
        rows = rows.repeat(-(-count // len(rows)), *[1] * (rows.dim() - 1))
    return rows[:count]


def _network(blocks: str, generator):
    from stages.lib.model import DigitNet

    shape = [block if block == "pool" else int(block) for block in blocks.split(",")]
    return DigitNet(shape, 32, 0.4, generator)


def _timed(run: Callable[[int, int], None], images: int, epochs: int) -> Measurement:
    """Seconds of `run(images, epochs)` after one on few images."""
    run(min(images, WARM_UP), 1)
    begun = time.perf_counter()
    run(images, epochs)
    return {"seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    name, images, epochs, *rest = sys.argv[1:]
    print(json.dumps(globals()[name](int(images), int(epochs), *rest)))
