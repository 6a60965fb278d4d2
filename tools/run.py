"""`make run`: reproduce the pipeline; on a machine that cannot get MNIST, on the sample.

Reads params.yaml and runs `dvc repro`, whose stages write their outputs. MNIST comes from DVC's
cache, its default remote or a mirror, whichever has it first. A switch to the sample is written
into params.yaml, so that params.yaml, dvc.lock and `git diff` show what was run. Other data are
never replaced, and `make repro` and `dvc repro` never switch.
"""

import io
import os
import subprocess
import sys
from collections.abc import Mapping

from ruamel.yaml import YAML

from digits.core import config, files
from digits.core.errors import exit_with
from digits.core.stage_lock import stage_lock
from digits.sources import catalog, download
from digits.sources.mirrors import MirrorsError
from stages import paths
from tools.repro import make_whole, repro

SAMPLE = {"download": {"source": "sample"}, "preprocess": {"validation_size": 500}}


def dvc(*arguments: str) -> str | None:
    """What a dvc command prints; None if it fails."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return None if done.returncode else done.stdout


def is_restored() -> bool:
    """Whether the download stage has nothing to do, after asking DVC's cache and its remote."""
    status = "status", "--json", "download"
    if dvc(*status) == "{}\n":
        return True
    return any(
        dvc(command, "check", "download") is not None and dvc(*status) == "{}\n"
        for command in ("checkout", "pull")
    )


def fetch_mnist() -> bool:
    """Whether the public mirrors deliver MNIST into data/raw."""
    mnist = catalog.find("mnist")
    try:
        with stage_lock(name="make run"):
            download.fetch(download.published(mnist), paths.RAW, mnist.way_out)
    except MirrorsError as error:
        print(str(error).removesuffix(f"\n{mnist.way_out}"), file=sys.stderr)
        return False
    return True


def change_parameters(changes: Mapping[str, Mapping[str, object]]) -> None:
    """Set values in params.yaml; comments are kept."""
    yaml = YAML()
    yaml.width = 200
    content = yaml.load(paths.PARAMETERS)
    for section, values in changes.items():
        content[section].update(values)
    changed = io.BytesIO()
    yaml.dump(content, changed)
    files.write(paths.PARAMETERS, changed.getvalue())


def main() -> None:
    make_whole()  # or dvc finds nothing
    is_mnist = config.read(paths.PARAMETERS).download.source == "mnist"
    has_mirror = bool(os.environ.get("MNIST_MIRROR"))  # which the download stage asks
    if is_mnist and not is_restored() and not has_mirror and not fetch_mnist():
        print(
            "MNIST cannot be fetched: no public mirror delivers it and MNIST_MIRROR is not set.\n"
            "Running on the built-in sample of 5,000 digits instead; params.yaml now says so.",
            flush=True,
        )
        change_parameters(SAMPLE)

    if code := repro():
        sys.exit(code)

    metrics = files.read_metrics(paths.TEST_METRICS)
    result = f"{100 * metrics['accuracy']:.2f} % of {metrics['examples']:,} test images right"
    if metrics["dataset"] == "sample":
        print(
            f"This was the built-in sample, not MNIST: {result}.\n"
            "For MNIST: `git checkout params.yaml dvc.lock metrics models plots`, then `make run`\n"
            "with a network, or `MNIST_MIRROR=/folder/with/the/four/files make run` without one.\n"
            "Until then, the model files in models/ are those of the sample."
        )
    else:
        print(f"{metrics['dataset']}: {result}, {metrics['parameters']:,} parameters.")


if __name__ == "__main__":
    exit_with(main)
