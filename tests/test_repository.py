"""What is in the repository, and what must not be."""

import re
import subprocess
from pathlib import Path

import pytest

from stages.lib import parameters
from tests.project import ROOT

TRACKED = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"],
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
).stdout.split("\n")[:-1]


def committed(name: str) -> str:
    """A file as it is in HEAD, whatever the user has made of it since."""
    command = ["git", "show", f"HEAD:{name}"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def texts() -> list[tuple[str, str]]:
    kinds = {".py", ".md", ".yaml", ".toml", ".json", ".csv", ".txt", ""}
    paths = [ROOT / name for name in TRACKED if Path(name).suffix in kinds]
    return [(str(path), path.read_text()) for path in paths if path.is_file()]


def test_no_machine_path_and_no_secret_is_tracked() -> None:
    forbidden = re.compile(
        r"/home/\w|/Users/\w|/root/|/work/|AKIA[0-9A-Z]{16}|PRIVATE KEY-----|gh[pous]_\w{30}"
    )
    for name, text in texts():
        if not name.endswith(Path(__file__).name):
            assert not forbidden.search(text), name


def test_no_data_and_no_model_is_tracked() -> None:
    assert not [name for name in TRACKED if re.search(r"\.(gz|safetensors|pt|pkl|onnx)$", name)]


def test_the_lock_pins_and_hashes_everything() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    for block in re.split(r"\n(?=\S)", lock):
        if not block.startswith("#"):
            assert re.match(r"[a-z0-9.\-\[\]]+==\S+", block), block[:60]
            assert "--hash=sha256:" in block, block[:60]


@pytest.mark.parametrize(
    "package",
    ["torch", "torchvision", "dvc", "pyyaml", "pandas", "matplotlib", "pytest"],
)
def test_the_promised_packages_are_locked(package: str) -> None:
    assert re.search(rf"^{package}==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)


def test_every_file_fits_one_sitting() -> None:
    for path in (ROOT / "stages").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 220, path


def test_the_default_is_the_tuned_recipe() -> None:
    assert committed("params.yaml") == committed("recipes/tuned.yaml")


def test_the_tuned_recipe_keeps_the_described_network_epochs_and_batch_size() -> None:
    described, tuned = (
        parameters.read(ROOT / f"recipes/{name}.yaml") for name in ("described", "tuned")
    )
    assert tuned.model == described.model
    assert tuned.train.epochs == described.train.epochs == 19
    assert tuned.train.batch_size == described.train.batch_size == 128
    assert tuned.preprocess.validation_size == 5000


def test_the_described_recipe_is_value_for_value_what_was_described() -> None:
    chosen = parameters.read(ROOT / "recipes/described.yaml").model_dump()
    assert chosen["preprocess"]["validation_size"] == 0
    assert chosen["model"]["blocks"] == [8, "pool", 16, "pool", 32, "pool"]
    assert (chosen["model"]["hidden"], chosen["model"]["dropout"]) == (32, 0.4)
    assert chosen["augment"] == {
        "rotation": 10, "translation": 0.1, "scale": 0, "shear": 0, "interpolation": "nearest",
    }  # fmt: skip
    assert chosen["train"] == {
        "seed": 0, "epochs": 19, "batch_size": 128, "max_learning_rate": 0.003, "pct_start": 0.2,
        "div_factor": 10, "final_div_factor": 100, "weight_decay": 1e-4, "norm_images": 0,
        "dropout_epochs": None, "device": "cpu",
    }  # fmt: skip
