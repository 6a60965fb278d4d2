"""The library alone, installed with nothing but what it declares, loads what the pipeline made."""

import json
import logging
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from huggingface_hub import ModelCard
from packaging.requirements import Requirement

from digits import load
from digits.core import split
from digits.network import model_file
from stages import paths
from tests import documented
from tests.project import ROOT, Project

DECLARED = {"numpy", "safetensors", "torch"}
SCRIPT = """\
import sys
from importlib.metadata import distributions

import numpy as np
from digits import load
import torch

torch.set_num_threads(1)
images, hub, file, logits = sys.argv[1:]
model = load(hub)
assert not any(name.split(".")[0] in ("pydantic", "numba", "onnx") for name in sys.modules)
np.save(logits, np.stack([model(np.load(images)), load(file)(np.load(images))]))
print(*{each.name.lower() for each in distributions()})
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip builds of this project, with the locked setuptools."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # which setuptools writes into
    shutil.copytree(ROOT / "digits", source / "digits", ignore=shutil.ignore_patterns("*.nb?"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run(sys.executable, "-m", "pip", "wheel", *options, "-w", folder, source, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


def needed(names: set[str]) -> set[str]:
    """These packages and all that they need, as far as it is installed here."""
    reached, waiting = set[str](), set(names)
    while waiting:
        name = waiting.pop()
        try:
            requirements = map(Requirement, distribution(name).requires or [])
        except PackageNotFoundError:  # triton, which the project leaves out
            continue
        reached.add(name)
        wanted = (each for each in requirements if not each.marker or each.marker.evaluate())
        waiting |= {each.name for each in wanted} - reached
    return reached


def make_environment(folder: Path, wheel: Path) -> Path:
    """A new environment with the wheel and what it declares, linked to what is installed here."""
    venv.create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in needed(DECLARED):
        for top in {path.parts[0] for path in distribution(name).files or []} - {
            "..",
            "__pycache__",
        }:
            if not (packages / top).exists():  # several packages share the folder `nvidia`
                (packages / top).symlink_to(distribution(name).locate_file(top))
    python = folder / "bin/python"
    options = ["--quiet", "--offline", "--no-deps", "--no-index", "--python", python]
    run(sys.executable, "-m", "uv", "pip", "install", *options, wheel, cwd=folder)
    return python


def test_the_wheel_has_the_library_and_declares_what_it_needs(wheel: Path) -> None:
    packed = ZipFile(wheel)
    (metadata,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
    lines = packed.read(metadata).decode().splitlines()
    listed = {
        line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-D")
    }
    assert {each for each in listed if "extra ==" not in each} == DECLARED
    inside = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert inside == {str(path.relative_to(ROOT)) for path in ROOT.glob("digits/**/*.py")}


def test_a_hub_folder_is_loaded_where_only_the_library_is(
    reproduced: Project, wheel: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub, model = tmp_path / "hub", reproduced.path / paths.MODEL
    load(model).save_pretrained(hub)
    names = {"README.md", "config.json", "model.int8.onnx", "model.onnx", "model.safetensors"}
    assert {path.name for path in hub.iterdir()} == names

    logging.getLogger("huggingface_hub").addHandler(caplog.handler)
    (result,) = ModelCard.load(hub / "README.md").data.eval_results
    assert result.metric_value == json.loads(reproduced.read("metrics/evaluate.json"))["accuracy"]
    assert caplog.messages == []

    images = split.load(reproduced.path / paths.TEST).images
    np.save(tmp_path / "images.npy", images.numpy())
    python = make_environment(tmp_path / "environment", wheel)
    files = (tmp_path / "images.npy", hub, model, tmp_path / "logits.npy")
    installed = run(python, "-I", "-W", "error", "-c", SCRIPT, *files, cwd=tmp_path).split()
    names = {distribution(name).name.lower() for name in needed(DECLARED)}
    assert set(installed) == names | {"mnist-dvc-pipeline"}
    assert not {"pydantic", "ruamel.yaml", "numba", "pandas", "onnx"} & names

    network, normalisation = model_file.load(model)
    expected = model_file.classify(network, images, normalisation).numpy()
    for logits in np.load(tmp_path / "logits.npy"):
        assert np.array_equal(logits, expected), "to the bit"


def test_evaluate_scores_any_model_and_changes_no_tracked_file(reproduced: Project) -> None:
    command = documented.command("python -m stages.evaluate --model models/model.safetensors")
    output = reproduced.run("bash", "-c", f"{command} 2> /dev/null")
    metrics = json.loads(reproduced.read("metrics/evaluate.json"))
    metrics |= metrics.pop("details")[0]
    scored = json.loads(output)
    assert scored.keys() <= metrics.keys()
    for name, value in scored.items():
        assert value == pytest.approx(metrics[name], rel=1e-5), name
    assert reproduced.git("status", "--porcelain") == ""
