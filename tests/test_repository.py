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
    """Every file of the repository that is text, by what is in it and not by its name."""
    found = [(name, (ROOT / name).read_bytes()) for name in TRACKED if (ROOT / name).is_file()]
    return [(name, content.decode()) for name, content in found if b"\0" not in content]


FORBIDDEN = re.compile(
    r"/home/\w|/Users/\w|/root/|/work/|[A-Z]:\\Users|"  # a machine's own paths
    r"PRIVATE KEY-----|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{30}|github_pat_\w{22}|"
    r"glpat-[\w-]{20}|xox[abprs]-[\w-]{10}|hf_[A-Za-z]{30}|pypi-AgE\w{20}|sk-[\w-]{32}|"
    r"AIza[\w-]{35}|eyJ[\w-]{10,}\.eyJ|://[^\s/:@{}$]+:[^\s/:@{}$]+@"
)


def test_no_machine_path_and_no_secret_is_tracked() -> None:
    assert {".github/workflows/test.yml", "Makefile", "dvc.lock"} <= dict(texts()).keys()
    for name, text in texts():
        if name != f"tests/{Path(__file__).name}":
            assert not FORBIDDEN.search(text), name


@pytest.mark.parametrize(
    "secret",
    [
        "/home/" + "someone/project",
        "AKIA" + 16 * "A",
        "ghp_" + 36 * "a",
        "github_pat_" + 22 * "a",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "hf_" + 34 * "a",
        "https://user:" + "password@example.com/simple",
    ],
)
def test_a_secret_would_be_found(secret: str) -> None:
    assert FORBIDDEN.search(f"before = '{secret}' # after")


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
