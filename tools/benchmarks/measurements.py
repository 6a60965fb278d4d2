"""One measurement: `python -m tools.benchmarks.measurements NAME IMAGES EPOCHS ...`.

Prints one JSON object with `seconds`, without start-up and warm-up. Training works on
data/raw/, cut or repeated to IMAGES images.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# isort: off
import digits  # noqa: F401  # pyright: ignore[reportUnusedImport]  pins instruction sets before torch is imported
import torch

# isort: on
from digits.core import config
from digits.core.config import Architecture, Block
from digits.core.split import Split
from digits.network.digitnet import DigitNet
from digits.network.fused import prepare_processor
from digits.sources import preprocess
from digits.training import loop
from digits.training.augment import augment
from digits.training.optimizer import Adam
from study.one_seed import with_training
from tools.benchmarks.measure import DESCRIBED, Laps, Measurement

ROOT = Path(__file__).parents[2]
RAW = ROOT / "data/raw"
RECIPE = config.read(ROOT / "recipes/described.yaml")
WARM_UP = 1280  # images


def ours(images: int, epochs: int, blocks: str = DESCRIBED) -> Measurement:
    """`fit` on the described recipe, or on another network."""
    train, rng = _train(images), torch.Generator().manual_seed(0)

    def run(images: int, epochs: int) -> None:
        recipe = with_training(RECIPE, epochs=epochs)
        loop.fit(_network(blocks, rng), train.first(images), train.first(0), recipe, rng)

    return _timed(run, images, epochs)


def floor(images: int, epochs: int) -> Measurement:
    """The same steps of the optimizer on batches that are in memory, and nothing else."""
    train, rng = _train(images), torch.Generator().manual_seed(0)
    size = RECIPE.train.batch_size
    batches: list[tuple[torch.Tensor, torch.Tensor]] = []
    for raw, labels in zip(train.images.split(size), train.labels.split(size), strict=True):
        augmented = augment(raw.unsqueeze(1).float(), RECIPE.augment, rng)
        batches.append((train.normalisation(augmented), labels))

    def run(images: int, epochs: int) -> None:
        prepare_processor()
        network = _network(DESCRIBED, rng).train().to(memory_format=torch.channels_last)
        kept = batches[: -(-images // size)]
        optimizer = Adam(network.parameters(), RECIPE.train, epochs * len(kept))
        for _ in range(epochs):
            for augmented, labels in kept:
                loop.train_step(network, augmented, labels, optimizer, rng)

    return _timed(run, images, epochs)


def until(images: int, epochs: int, name: str) -> Measurement:
    """A recipe as the train stage trains it, the test set scored after every epoch, untimed."""
    recipe = with_training(config.read(ROOT / f"recipes/{name}.yaml"), epochs=epochs)
    whole, _ = preprocess.training_splits(RAW, recipe.preprocess)
    test = preprocess.test_split(RAW, whole.normalisation)
    rng = torch.Generator().manual_seed(recipe.train.seed)
    network = DigitNet(recipe.model, rng)
    laps = Laps()
    loop.fit(
        network, whole.first(images), whole.first(0), recipe, rng,
        after_epoch=lambda _: laps.end(lambda: loop.measure_split(network, test)["accuracy"]),
    )  # fmt: skip
    return laps.measurement()


def seeds(images: int, epochs: int, cores: str) -> Measurement:
    """Four seeds of the described recipe as a study trains them, on so many cores.

    Ray's start is included.
    """
    from study.seeds import in_parallel

    os.sched_setaffinity(0, range(int(cores)))  # of everything that it starts, too
    train = _train(images)
    jobs = [("described", with_training(RECIPE, epochs=epochs, seed=seed)) for seed in range(4)]
    begun = time.perf_counter()
    rows = list(in_parallel(jobs, train, train.first(1000), int(cores)))
    assert len(rows) == len(jobs)
    return {"seconds": time.perf_counter() - begun}


def first_step(images: int, epochs: int) -> Measurement:
    """The train stage as DVC starts it, up to its first step; the caller times it."""
    import stages.train

    def stop(*_: object) -> None:
        print("{}", flush=True)
        os._exit(0)

    loop.train_step = stop
    stages.train.main()
    raise AssertionError("the stage ended without a step")


def _train(images: int) -> Split:
    """The training split of the described recipe, cut or repeated to `images` images."""
    train, _ = preprocess.training_splits(RAW, RECIPE.preprocess)
    times = -(-images // len(train))
    repeated = Split(
        train.images.repeat(times, 1, 1), train.labels.repeat(times), train.normalisation
    )
    return repeated.first(images)


def _network(blocks: str, rng: torch.Generator) -> DigitNet:
    words: list[Block] = [int(word) if word.isdecimal() else word for word in blocks.split(",")]
    return DigitNet(Architecture(blocks=words, hidden=32, dropout=0.4), rng)


def _timed(run: Callable[[int, int], None], images: int, epochs: int) -> Measurement:
    """Seconds of `run(images, epochs)` after one on few images."""
    run(min(images, WARM_UP), 1)
    begun = time.perf_counter()
    run(images, epochs)
    return {"seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    name, images, epochs, *rest = sys.argv[1:]
    print(json.dumps(globals()[name](int(images), int(epochs), *rest)))
