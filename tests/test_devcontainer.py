"""The development container sets up what the README says."""

import json
import re

from tests.project import ROOT

CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())


def test_it_runs_a_target_of_the_makefile() -> None:
    tool, target = CONTAINER["postCreateCommand"].split()
    assert tool == "make"
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_it_has_a_python_that_the_project_takes() -> None:
    _, major, minor = re.split(r"[:.]", CONTAINER["image"].partition("-bookworm")[0])[-3:]
    required = re.search(
        r'requires-python = ">=(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text()
    )
    assert (int(major), int(minor)) >= (int(required[1]), int(required[2]))


def test_its_editor_uses_the_environment_of_make() -> None:
    editor = CONTAINER["customizations"]["vscode"]
    python = editor["settings"]["python.defaultInterpreterPath"]
    makefile = (ROOT / "Makefile").read_text()
    assert f"PYTHON := {python.removeprefix('${containerWorkspaceFolder}/')}\n" in makefile
    assert "lakefs.lakefs-dvc" in editor["extensions"]
