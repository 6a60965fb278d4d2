"""Refuse a params.yaml that is wrong anywhere, before any stage touches its outputs.

Reads the whole of params.yaml, requirements.txt and what the last stage, card, will read: recipes/
and metrics/study.json. Writes data/checked, which makes DVC run this stage before all others. It
lists the locked packages that compute, so another version of one makes every stage run again, and
another version of a linter none.
"""

from digits.core import config, files
from digits.core.entry_point import run_stage
from digits.network.digitnet import check_budget, pick_device
from digits.sources import catalog
from digits.training.environment import PACKAGES
from stages import paths


def computing(lock: str) -> str:
    """The lines of a lock that pin what computes, without their hashes."""
    lines = (line.removesuffix(" \\") for line in lock.splitlines())
    return "".join(f"{line}\n" for line in lines if line.partition("==")[0] in PACKAGES)


def main() -> None:
    parameters = config.read(paths.PARAMETERS)

    catalog.find(parameters.download.source)
    check_budget(parameters.model)
    pick_device(parameters.train.device)

    for path in sorted(paths.RECIPES.glob("*.yaml")):
        config.read(path)
    if paths.STUDY.is_file():
        files.read_json(paths.STUDY, "`python -m study.report` writes it again")

    files.write(paths.CHECKED, computing(paths.LOCK.read_text()).encode())


if __name__ == "__main__":
    run_stage(main)
