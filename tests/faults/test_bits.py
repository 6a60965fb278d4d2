"""A whole small run gives the same bytes wherever and however it is started."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import digits
from tests.project import ROOT, change_parameters

# The tuned network on few images, so that nothing but the amount of work is small.
SMALL = {
    "preprocess": {"validation_size": 100},
    "train": {"epochs": 2, "norm_images": 200, "dropout_epochs": 1},
}

# One process for all stages of all folders: importing torch takes longer than a run. Cores are
# taken away before torch can count them.
RUN = """
import json, os, sys
cores, digests, *folders = sys.argv[1:]
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(cores)])
from stages import check, download, evaluate, preprocess, train
download.MNIST.update(json.loads(digests))
for folder in folders:
    os.chdir(folder)
    for stage in (check, download, preprocess, train, evaluate):
        stage.main()
"""

# What surrounds a run, each with values that must not matter; None: not set.
SURROUNDINGS: dict[str, list[str | None]] = {
    "cores": ["1", "2"],
    "folder": ["another place", "größer", "a/b/c"],
    "OMP_NUM_THREADS": ["1", "3", "4", None],
    "MKL_NUM_THREADS": ["3", "1", None],
    "ATEN_CPU_CAPABILITY": ["default", "avx512", None],
    "ONEDNN_MAX_CPU_ISA": ["SSE41", "ALL", None],
    "MKL_CBWR": ["AVX", "AUTO", None],
    "OMP_WAIT_POLICY": ["passive", None],
    "LC_ALL": ["C", "C.UTF-8", None],
    "TZ": ["Pacific/Kiritimati", "America/St_Johns", None],
    "PYTHONHASHSEED": ["1", "random", None],
}
PLAIN = dict.fromkeys(SURROUNDINGS) | {"cores": "2", "folder": "plain"}
FOREIGN = {name: values[0] for name, values in SURROUNDINGS.items()}


def run(place: Path, around: dict[str, str | None], *seeds: int) -> list[str]:
    """Run every stage for each of the seeds; returns the hashes of what they wrote."""
    digests = digits.write_idx(place / "mirror")
    folders = [place / str(seed) / str(around["folder"]) for seed in seeds]
    for folder, seed in zip(folders, seeds, strict=True):
        folder.mkdir(parents=True)
        shutil.copy(ROOT / "recipes/tuned.yaml", folder / "params.yaml")
        change_parameters(folder / "params.yaml", SMALL)
        change_parameters(folder / "params.yaml", {"train": {"seed": seed}})
    kept = {name: value for name, value in os.environ.items() if name not in SURROUNDINGS}
    variables = {name: value for name, value in around.items() if value and name.isupper()}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(around["cores"]), json.dumps(digests), *folders],
        cwd=place,
        env=kept | variables | {"PYTHONPATH": str(ROOT), "MNIST_MIRROR": str(place / "mirror")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout
    return [hash_of(folder) for folder in folders]


def hash_of(folder: Path) -> str:
    """A sha256 over the names and bytes of all files in a folder but params.yaml."""
    contents = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "params.yaml"
    }
    assert contents.keys() > {"models/model.safetensors", "metrics/evaluate.json"}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The hashes of seeds 0 and 1 with nothing set, on two cores if there are as many."""
    return run(tmp_path_factory.mktemp("plain"), PLAIN, 0, 1)


@pytest.mark.promise(
    "A run gives the same bytes on one core and two, in another folder, and with other settings "
    "of threads, instruction sets, language, time zone and hash seed",
    quick=2,
    thorough=16,
)
def test_surroundings_change_no_bit(
    tmp_path: Path, plain: list[str], times: int, chance: random.Random
) -> None:
    drawn = [
        {name: chance.choice(values) for name, values in SURROUNDINGS.items()}
        for _ in range(times - 1)
    ]
    for number, around in enumerate([FOREIGN, *drawn]):
        assert run(tmp_path / str(number), around, 0) == plain[:1], around


def test_another_seed_changes_the_hash(plain: list[str]) -> None:
    zero, one = plain
    assert zero != one
