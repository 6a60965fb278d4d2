"""Fixtures that several test files share."""

from pathlib import Path

import pytest

# isort: off
import stages  # noqa: F401  sets the numeric environment before torch is imported
import torch

# isort: on
from tests.project import Project, make_project


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
    """A committed project on drawn digits after its first `dvc repro`, not to be changed."""
    project = make_project(tmp_path_factory.mktemp("reproduced"))
    project.first_run = project.dvc("repro")
    project.git("add", ".")
    project.git("commit", "-qm", "Reproduce")
    return project


@pytest.fixture
def project(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project that a test may change."""
    return reproduced.copy_to(tmp_path / "project")
