"""One measurement: `python -m tools.benchmarks.measurements NAME IMAGES EPOCHS ...`.

Prints one JSON object with `seconds`, without start-up and warm-up. Training works on the
pipeline's split, cut or repeated to IMAGES images; `whole` and `parity` on that of the recipe.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import NoReturn

# isort: off
import digits  # noqa: F401  # pyright: ignore[reportUnusedImport]  pins instruction sets before torch is imported
import torch

# isort: on
from torch import Tensor

from digits.core import config, split
from digits.core.config import Config
from digits.core.split import Split
from digits.network.digitnet import DigitNet
from digits.training import loop, trainer
from stages import paths
from study.one_seed import with_training
from tools.benchmarks.measure import BUSY, ROOT, Measurement

RECIPE = config.read(ROOT / "recipes/described.yaml")
WARM_UP = 1280  # images


def ours(images: int, epochs: int, name: str, blocks: str = "") -> Measurement:
    """`fit` on a recipe, or on its network with other blocks."""
    recipe = with_training(config.read(ROOT / f"recipes/{name}.yaml"), epochs=epochs)
    model = recipe.model
    if blocks:
        words = [int(each) if each.isdecimal() else each for each in blocks.split()]
        model = model.model_copy(update={"blocks": words})
    train, rng = _train(images), torch.Generator().manual_seed(0)

    def fit(images: int) -> None:
        network = DigitNet(model, rng)
        loop.fit(network, train.first(images), train.first(0), recipe, rng)

    fit(min(images, WARM_UP))
    begun = time.perf_counter()
    fit(images)
    return {"seconds": time.perf_counter() - begun, "images": images * epochs}


def beside_others(images: int, epochs: int, name: str) -> Measurement:
    """The same while every core also runs another busy process."""
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            other = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(other.kill)
        return ours(images, epochs, name)


def parity(images: int, epochs: int, trained_by: str, seed: str) -> Measurement:
    """The described recipe by a trainer of this name: seconds per epoch, and test accuracy."""
    loop.trainer_of = vars(trainer)[trained_by]
    recipe = with_training(RECIPE, epochs=epochs, seed=int(seed))
    train, test = _splits(recipe)
    begun = time.perf_counter()
    network, _ = loop.train_network(recipe, train.first(images), train.first(0))
    seconds = (time.perf_counter() - begun) / epochs
    return {"seconds": seconds, "accuracy": loop.measure_split(network, test)["accuracy"]}


def whole(images: int, epochs: int, name: str) -> Measurement:
    """A recipe as the train stage trains it, to its last epoch, or to the given one if not 0."""
    recipe = config.read(ROOT / f"recipes/{name}.yaml")
    if epochs:
        recipe = with_training(recipe, epochs=epochs)
    train, _ = _splits(recipe)
    begun = time.perf_counter()
    loop.train_network(recipe, train.first(images), train.first(0))
    return {"seconds": time.perf_counter() - begun}


def seeds(images: int, epochs: int, cores: str) -> Measurement:
    """Four seeds of the described recipe as a study trains them, on so many cores.

    Ray's start is included.
    """
    from study.seeds import in_parallel

    allowed = sorted(os.sched_getaffinity(0))[: int(cores)]
    os.sched_setaffinity(0, allowed)  # of everything that it starts, too
    train = _train(images)
    jobs = [("described", with_training(RECIPE, epochs=epochs, seed=seed)) for seed in range(4)]
    begun = time.perf_counter()
    rows = list(in_parallel(jobs, train, train.first(1000), cores=int(cores)))
    assert len(rows) == len(jobs)
    return {"seconds": time.perf_counter() - begun}


def first_step(images: int, epochs: int) -> Measurement:
    """The train stage as DVC starts it, up to the first steps; the caller times it."""
    import stages.train

    train = trainer.FastTrainer.train

    def stop(
        self: trainer.FastTrainer, images: Tensor, labels: Tensor, rng: torch.Generator
    ) -> NoReturn:
        train(self, images, labels, rng)
        self.finish()
        print("{}", flush=True)
        os._exit(0)

    trainer.FastTrainer.train = stop
    stages.train.main()
    raise AssertionError("the stage ended without a step")


def _train(images: int) -> Split:
    """The pipeline's training split, cut or repeated to `images` images."""
    train = split.load(ROOT / paths.TRAIN)
    times = -(-images // len(train))
    more = train.images.repeat(times, 1, 1)
    repeated = replace(train, images=more, labels=train.labels.repeat(times))
    return repeated.first(images)


def _splits(recipe: Config) -> tuple[Split, Split]:
    """The training and the test split of a recipe."""
    from digits.sources import preprocess  # scikit-learn takes more than a second

    prepared = preprocess.prepare(recipe, ROOT / paths.RAW, ROOT / paths.PICTURES)
    return prepared.train, prepared.test


if __name__ == "__main__":
    name, images, epochs, *rest = sys.argv[1:]
    print(json.dumps(globals()[name](int(images), int(epochs), *rest)))
