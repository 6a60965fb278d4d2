"""A whole small run gives the same bytes wherever and however it is started."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import drawn
from tests.project import ROOT, change_parameters, own

# The tuned network on few images, so that nothing but the amount of work is small.
SMALL = {
    "preprocess": {"validation_size": 100},
    "train": {"epochs": 2, "norm_images": 200, "dropout_epochs": 1},
}

# One process for all stages: importing torch takes longer than they do. The number of cores is
# limited before torch can count them.
RUN = """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[1])])
from stages import check, download, evaluate, preprocess, train
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


def run(place: Path, around: dict[str, str | None]) -> dict[str, bytes]:
    """Run every stage; returns the files that they wrote."""
    data = own(place / "mirror", drawn.write_idx(place / "mirror"))
    folder = place / str(around["folder"])
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "recipes/tuned.yaml", folder / "params.yaml")
    shutil.copy(ROOT / "requirements.txt", folder)
    (folder / "metrics").mkdir()
    shutil.copy(ROOT / "metrics/study.json", folder / "metrics")
    change_parameters(folder / "params.yaml", SMALL | {"download": data})
    kept = {name: value for name, value in os.environ.items() if name not in SURROUNDINGS}
    variables = {name: value for name, value in around.items() if value and name.isupper()}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(around["cores"])],
        cwd=folder,
        env=kept | variables | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "params.yaml"
    }
    assert files.keys() > {"models/model.safetensors", "metrics/evaluate.json"}
    return files


@pytest.mark.promise(
    "A run gives the same bytes on one core and two, in another folder, and with other settings "
    "of threads, instruction sets, language, time zone and hash seed",
    quick=1,
    thorough=16,
)
def test_surroundings_change_no_bit(tmp_path: Path, times: int, rng: random.Random) -> None:
    expected = run(tmp_path / "plain", PLAIN)
    others = [
        {name: rng.choice(values) for name, values in SURROUNDINGS.items()}
        for _ in range(times - 1)
    ]
    for number, around in enumerate([FOREIGN, *others]):
        files = run(tmp_path / str(number), around)
        differing = [name for name in files | expected if files.get(name) != expected.get(name)]
        assert not differing, around
