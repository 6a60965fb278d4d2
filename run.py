"""`make run`: reproduce the pipeline; on a machine that cannot get MNIST, on the sample.

Reads params.yaml and runs `dvc repro`, whose stages write their outputs. MNIST comes from DVC's
cache, its default remote or a mirror, whichever has it first. The switch to the
sample is written into params.yaml, so that params.yaml, dvc.lock and `git diff` say what was
run. Other data are never replaced, and `make repro` and `dvc repro` never switch.
"""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from stages import download
from stages.lib import parameters
from stages.lib.alone import claimed
from stages.lib.errors import exit_with
from stages.lib.files import write
from stages.lib.mirrors import MirrorsError

METRICS = Path("metrics/evaluate.json")
SAMPLE = {"download": {"source": "sample"}, "preprocess": {"validation_size": 500}}


def dvc(*arguments: str) -> str:
    """What a dvc command prints; it may fail."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def is_restored() -> bool:
    """Whether download has nothing to do, once DVC has brought what its cache or remote has."""
    for command in ([], ["checkout", "check", "download"], ["pull", "check", "download"]):
        if command:
            dvc(*command)
        if dvc("status", "--json", "download").strip() == "{}":
            return True
    return False


def choose_sample() -> None:
    """Set the sample in params.yaml; its comments stay."""
    yaml = YAML()
    yaml.width = 200
    content = yaml.load(download.PARAMETERS)
    for section, values in SAMPLE.items():
        content[section].update(values)
    changed = io.BytesIO()
    yaml.dump(content, changed)
    write(download.PARAMETERS, changed.getvalue())


def main() -> None:
    parameters.read(download.PARAMETERS)  # before dvc, which a hostile file would keep busy
    try:
        if not is_restored():
            with claimed():
                download.main()
    except MirrorsError:
        source = parameters.read(download.PARAMETERS).download.source
        if source != "mnist" or os.environ.get("MNIST_MIRROR"):
            raise
        print(
            "MNIST cannot be fetched: no public mirror delivers it and MNIST_MIRROR is not set.\n"
            "Running on the built-in sample of 5,000 digits instead; params.yaml now says so.",
            flush=True,
        )
        choose_sample()

    # Ctrl-C reaches dvc and its stage by themselves: wait for them to end in order
    signal.signal(signal.SIGINT, lambda *_: None)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, "-m", "dvc", "repro"]
    repro = subprocess.run(command, env=os.environ | {"PATH": path})
    if repro.returncode:
        sys.exit(repro.returncode)

    metrics = json.loads(METRICS.read_text())
    result = f"{100 * metrics['accuracy']:.2f} % of {metrics['examples']:,} test images right"
    if metrics["dataset"] == "sample":
        print(f"This was the built-in sample, not MNIST: {result}.")
        print(
            "For MNIST: `git checkout params.yaml dvc.lock metrics plots`, then `make run` with a"
        )
        print("network, or `MNIST_MIRROR=/folder/with/the/four/files make run` without one.")
    else:
        print(f"{metrics['dataset']}: {result}, {metrics['parameters']:,} parameters.")


if __name__ == "__main__":
    exit_with(main)
