"""Refuse a params.yaml that is wrong anywhere, before any stage touches its outputs.

Reads the whole of params.yaml, requirements.txt and what the last stage, card, will read: recipes/
and metrics/study.json. Writes data/checked, which makes DVC run this stage before all others. It
lists the locked packages that compute, so another version of one makes every stage run again, and
another version of a linter none.
"""

from digits.core import config, files
from digits.core.config import Config
from digits.core.data_shape import DIGITS, IMAGE_SIZE, DataShape
from digits.core.entry_point import run_stage
from digits.network.digitnet import check_budget, pick_device
from digits.sources import catalog
from digits.training.environment import PACKAGES
from stages import paths


def computing(lock: str) -> str:
    """The lines of a lock that pin what computes, without their hashes."""
    lines = (line.removesuffix(" \\") for line in lock.splitlines())
    return "".join(f"{line}\n" for line in lines if line.partition("==")[0] in PACKAGES)


def expected_shape(parameters: Config) -> DataShape:
    """The shape that the data will have, or of the user's own the smallest that they may have.

    So a network that passes here can still be over the budget when all classes are known.
    """
    dataset = catalog.find(parameters.download.source)
    is_own = parameters.download.source in (catalog.OWN, catalog.FOLDER)
    size = parameters.preprocess.image_size or IMAGE_SIZE
    classes = ("0", "1") if is_own else dataset.classes or DIGITS
    return DataShape(size, parameters.preprocess.channels, classes)


def main() -> None:
    parameters = config.read(paths.PARAMETERS)

    check_budget(parameters.model, shape=expected_shape(parameters))
    pick_device(parameters.train.device)

    for path in sorted(paths.RECIPES.glob("*.yaml")):
        config.read(path)
    if paths.STUDY.is_file():
        files.read_json(paths.STUDY, "`python -m study.report` writes it again")

    files.write(paths.CHECKED, computing(paths.LOCK.read_text()).encode())


if __name__ == "__main__":
    run_stage(main)
