"""A version of the model, published from one clone and fetched by its name in another folder."""

from pathlib import Path

import pytest

from tests import documented
from tests.project import Project

ADDRESS = "https://example.com/digits.git"
MODEL = "models/model.safetensors"


@pytest.mark.slow
def test_the_documented_commands_publish_and_fetch_the_same_bytes(
    project: Project, tmp_path: Path
) -> None:
    origin = tmp_path / "origin.git"
    project.git("clone", "-q", "--bare", ".", str(origin))
    project.git("remote", "add", "origin", str(origin))
    project.name_remote("storage", {"url": str(tmp_path / "storage")})
    publish = documented.commands("docs/releases.md", "Publish a version")
    documented.run(project, publish, tmp_path / "publish.log", timeout=600)

    elsewhere = Project(tmp_path / "elsewhere", project.mirror)
    elsewhere.path.mkdir()
    fetch = documented.commands("docs/releases.md", "Download a version")
    assert ADDRESS in fetch
    fetch = fetch.replace(ADDRESS, str(origin))
    documented.run(elsewhere, fetch, tmp_path / "fetch.log", timeout=600)
    fetched = {path.name: path.read_bytes() for path in elsewhere.path.iterdir()}
    assert fetched == dict.fromkeys(
        ("model.safetensors", "production.safetensors"), project.read(MODEL)
    )
    missing = ("artifacts", "get", str(origin), "digits", "--rev", "v2.0.0")
    assert "v2.0.0" in elsewhere.dvc(*missing, fails=True)
