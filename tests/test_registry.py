"""A version of the model, published from one clone and fetched by its name in another folder."""

from pathlib import Path

from tests import readme
from tests.project import Project

ADDRESS = "https://example.com/digits.git"
MODEL = "models/model.safetensors"


def test_the_readmes_commands_publish_and_fetch_the_same_bytes(
    project: Project, tmp_path: Path
) -> None:
    origin = tmp_path / "origin.git"
    project.git("clone", "-q", "--bare", ".", str(origin))
    project.git("remote", "add", "origin", str(origin))
    project.dvc("remote", "add", "--default", "storage", str(tmp_path / "storage"))
    project.git("commit", "-qam", "Name the storage")
    published = project.read(MODEL)
    lines = readme.commands("Releases").splitlines(keepends=True)
    fetching = [line.replace(ADDRESS, str(origin)) for line in lines if "artifacts get" in line]
    publishing = [line for line in lines if "artifacts get" not in line]
    assert all(ADDRESS in line for line in lines if "artifacts get" in line)

    readme.run(project, "".join(publishing), tmp_path / "publish.log", timeout=600)
    elsewhere = Project(tmp_path / "elsewhere", project.mirror)
    elsewhere.path.mkdir()
    readme.run(elsewhere, "".join(fetching), tmp_path / "fetch.log", timeout=600)

    fetched = sorted(elsewhere.path.iterdir())
    assert [path.name for path in fetched] == ["model.safetensors", "production.safetensors"]
    assert all(path.read_bytes() == published for path in fetched)
    missing = ("artifacts", "get", str(origin), "digits", "--rev", "v2.0.0")
    assert "v2.0.0" in elsewhere.dvc(*missing, fails=True)
