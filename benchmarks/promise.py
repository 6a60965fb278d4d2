"""How long until 99.43 % of the test set: `python -m benchmarks.promise RECIPE IMAGES EPOCHS`.

RECIPE is a file of recipes/, without .yaml, or `plain` for the script of plain.py. Trains seed 0
on at most IMAGES images and scores the test set after every epoch, which is not timed. Prints one
JSON object: `seconds` of all epochs, `accuracy` of the last, and of the first that keeps the
promise its number, `epoch`, and the seconds `until` then; both are 0 if none does.
"""

import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROMISE = 0.9943  # what the description of recipes/described.yaml says, in all its 19 epochs
ROOT = Path(__file__).parent.parent


class Laps:
    """Seconds and accuracy after every epoch; the clock stands still while scoring."""

    def __init__(self) -> None:
        self._seconds, self._found = 0.0, list[tuple[float, float]]()
        self._begun = time.perf_counter()

    def end(self, accuracy: Callable[[], float]) -> None:
        """An epoch is over; `accuracy` scores it."""
        self._seconds += time.perf_counter() - self._begun
        self._found.append((self._seconds, accuracy()))
        self._begun = time.perf_counter()

    def measurement(self) -> dict[str, float]:
        """What is printed."""
        kept = [n for n, (_, accuracy) in enumerate(self._found) if accuracy > PROMISE - 1e-6]
        seconds, accuracy = self._found[-1]
        epoch, until = (kept[0] + 1, self._found[kept[0]][0]) if kept else (0, 0.0)
        return {"seconds": seconds, "accuracy": accuracy, "epoch": epoch, "until": until}


def ours(recipe: str, images: int, epochs: int) -> dict[str, float]:
    """A recipe, as the train stage trains it."""
    import stages  # noqa: F401, I001  sets the numeric environment before torch is imported
    import torch

    from stages import preprocess
    from stages.lib import model, parameters
    from stages.lib.scores import score
    from stages.train import fit
    from study.row import first, with_train

    chosen = parameters.read(ROOT / f"recipes/{recipe}.yaml")
    whole, _ = preprocess.training_splits(chosen.preprocess)
    training, nothing = first(whole, images), first(whole, 0)
    test = preprocess.testing_split(whole.normalisation)
    settings, shape = with_train(chosen, epochs=epochs).train, chosen.model
    generator = torch.Generator().manual_seed(settings.seed)
    network = model.DigitNet(shape.blocks, shape.hidden, shape.dropout, generator)

    def accuracy() -> float:
        logits = model.predict(network, test.images, test.normalisation)
        return score(logits, test.labels)["accuracy"]

    laps = Laps()
    fit(
        network, training, nothing, chosen.augment, settings, generator,
        after_epoch=lambda _: laps.end(accuracy),
    )  # fmt: skip
    return laps.measurement()


def plain(images: int, epochs: int) -> dict[str, float]:
    """The plain script, without loading processes and with torch's own threads."""
    import numpy as np
    import torch

    from benchmarks import plain as script

    def read(name: str, header: int) -> torch.Tensor:  # stages, and its pins, are not imported here
        content = gzip.decompress((ROOT / f"data/raw/{name}-ubyte.gz").read_bytes())
        return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header).copy())

    pixels, test = (
        read(f"{name}-images-idx3", 16).view(-1, 28, 28)[:count]
        for name, count in (("train", images), ("t10k", None))
    )
    labels, answers = read("train-labels-idx1", 8)[:images], read("t10k-labels-idx1", 8)
    normalised = (test.unsqueeze(1) / 255 - script.MEAN) / script.STD
    torch.manual_seed(0)
    laps = Laps()

    def after_epoch(network: torch.nn.Module) -> None:
        network.eval()
        with torch.no_grad():
            laps.end(lambda: float((network(normalised).argmax(1) == answers).float().mean()))

    script.train(script.Pictures(pixels, labels), epochs, 0, after_epoch)
    return laps.measurement()


if __name__ == "__main__":
    name, images, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(plain(images, epochs) if name == "plain" else ours(name, images, epochs)))
