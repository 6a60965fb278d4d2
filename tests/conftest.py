"""Fixtures that several test files share, and the options of tests/faults."""

import os
import random
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

# isort: off
import digits  # noqa: F401  pins instruction sets before torch is imported
import torch

# isort: on
from stages import paths
from tests.project import ROOT, Project, make_project


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="cause every fault as often as docs/guarantees.md says",
    )
    parser.addoption("--fault-seed", type=int, default=0, help="draws moments and places of faults")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "promise(text, quick, thorough): what a test of tests/faults proves, how often"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only unit and pipeline tests are quick."""
    for item in items:
        if item.path.relative_to(ROOT / "tests").parts[0] not in ("unit", "pipeline"):
            item.add_marker("slow")


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How many faults the test causes: a few, or as many as docs/guarantees.md says."""
    mark = request.node.get_closest_marker("promise")
    return mark.kwargs["thorough" if request.config.getoption("--thorough") else "quick"]


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Draws moments and places of faults; `--fault-seed` draws others."""
    return random.Random(f"{request.config.getoption('--fault-seed')} {request.node.nodeid}")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers on loopback are asked directly."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(autouse=True)
def untouched_generator() -> object:
    """No code under test may draw from torch's global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state()), "something drew from the global generator"


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A committed project on drawn digits after its first `dvc repro`, not to be changed.

    The workers of one test run share it.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "reproduced"
    with FileLock(f"{folder}.lock"):
        if not (folder / "output").is_file():
            project = make_project(folder)
            output = project.dvc("repro")
            project.git("add", ".")
            project.git("commit", "-qm", "Reproduce")
            (folder / "output").write_text(output)
    project = Project(folder / "project", folder / "mirror")
    project.first_run = (folder / "output").read_text()
    return project


@pytest.fixture
def project(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project that a test may change, without its checkpoint."""
    project = reproduced.copy_to(tmp_path / "project")
    shutil.rmtree(project.path / paths.CHECKPOINT.parent)
    return project
