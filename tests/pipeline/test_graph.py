"""dvc.yaml lists exactly what each stage imports, reads and writes."""

import ast
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from digits.core import config
from digits.core.config import Config
from digits.core.strict_yaml import Section
from stages import paths
from tests import drawn
from tests.project import GRAPH, ROOT, SMALL, STAGES, Project, change_parameters, outputs, own

DEPS: dict[str, list[str]] = {
    f"stages.{name}": stage["deps"] for name, stage in GRAPH["stages"].items()
}
CODE = ("digits", "stages", "study")
PACKAGES = sorted(f"digits/{path.parent.name}" for path in ROOT.glob("digits/*/__init__.py"))


def imported(path: Path) -> Iterator[Path]:
    """The project's files that a file's code imports, anywhere in it but for types alone."""
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not is_for_types(node)]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            place = ROOT.joinpath(*name.split("."))
            for file in (place / "__init__.py", place.with_suffix(".py")):
                if name.split(".")[0] in CODE and file.is_file():
                    yield file


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def closure(module: str) -> set[Path]:
    """A module's file, all it imports, and the __init__ of the packages that these are in."""
    reached = set[Path]()
    waiting = {ROOT.joinpath(*module.split(".")).with_suffix(".py")}
    while waiting:
        path = waiting.pop()
        reached.add(path)
        packages = {folder / "__init__.py" for folder in path.parents if ROOT in folder.parents}
        waiting |= {*imported(path), *packages} - reached
    return reached


@pytest.mark.parametrize("module", DEPS)
def test_code_dependencies_are_the_import_closure(module: str) -> None:
    files = {str(path.relative_to(ROOT)) for path in closure(module)}
    needed = {next((p for p in PACKAGES if file.startswith(f"{p}/")), file) for file in files}
    assert {dep for dep in DEPS[module] if dep.endswith(".py") or dep in PACKAGES} == needed


def test_no_stage_imports_a_stage_and_no_library_imports_one() -> None:
    for path in ROOT.glob("digits/**/*.py"):
        assert all(file.is_relative_to(ROOT / "digits") for file in imported(path)), path
    for name in STAGES:
        path = ROOT / f"stages/{name}.py"
        others = {file.stem for file in imported(path) if file.parent == ROOT / "stages"}
        assert others == {"__init__", "paths"}, path


def test_only_stages_paths_knows_the_paths_of_the_project() -> None:
    folders = ("data/", "models/", "metrics/", "plots/", "recipes/", "checkpoints/")
    for path in [*ROOT.glob("digits/*/*.py"), *(ROOT / f"stages/{name}.py" for name in STAGES)]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(folders), path


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_touches_the_stages_that_list_it(project: Project, package: str) -> None:
    for path in (project.path / package).rglob("*.py"):
        path.write_text(path.read_text() + "\n# changed\n")
    listing = {name for name in STAGES if package in GRAPH["stages"][name]["deps"]}
    assert project.changed() == listing
    assert listing or package == "digits/handwriting", "which digits.predict uses, no stage"


def test_what_editors_and_python_leave_in_a_package_touches_nothing(project: Project) -> None:
    for name in ("x.swp", ".config.py.swp", "config.py~", ".DS_Store", "__pycache__/x.pyc"):
        (project.path / "digits/core" / name).write_text("left behind")
    with (project.path / "params.yaml").open("a") as file:
        file.write("\n# a comment\n")
    assert project.changed() == set()


def keys_listed(stage: str) -> set[str]:
    """The keys that dvc.yaml makes a stage depend on, sections written out."""
    return {
        f"{section}.{key}"
        for entry in GRAPH["stages"][stage].get("params", [])
        for section, field in Config.model_fields.items()
        for key in field.annotation.model_fields
        if entry in (section, f"{section}.{key}")
    }


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collects every key of params.yaml that is looked at after the file was read."""
    keys: set[str] = set()
    names: dict[int, str] = {}
    alive: list[Config] = []  # an id means nothing once its object is gone
    read, get = config.read, object.__getattribute__

    def read_and_watch(path: Path) -> Config:
        parameters = read(path)
        if path.name == "params.yaml":
            alive.append(parameters)
            names.update({id(getattr(parameters, name)): name for name in Config.model_fields})
        return parameters

    def watch(section: Section, attribute: str) -> object:
        if id(section) in names and attribute in type(section).model_fields:
            keys.add(f"{names[id(section)]}.{attribute}")
        return get(section, attribute)

    monkeypatch.setattr(config, "read", read_and_watch)
    monkeypatch.setattr(Section, "__getattribute__", watch, raising=False)
    return keys


OF_PICTURES = {"preprocess.fit", "preprocess.test_share"}  # read if the source is a folder


def test_parameters_and_outputs_are_those_that_each_stage_reads_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: set[str]
) -> None:
    mirror, folder = tmp_path / "mirror", tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_bytes((ROOT / "recipes/described.yaml").read_bytes())
    download = {"download": own(mirror, drawn.write_idx(mirror))}
    change_parameters(folder / "params.yaml", SMALL | download)
    monkeypatch.chdir(folder)
    shutil.copy(ROOT / "requirements.txt", folder)
    (folder / "metrics").mkdir()
    shutil.copy(ROOT / "metrics/study.json", folder / "metrics")
    made = {"params.yaml", "requirements.txt", "metrics/study.json"}
    for stage in STAGES:  # so their order in dvc.yaml is one in which they can run
        recorded.clear()
        importlib.import_module(f"stages.{stage}").main()
        if {"params.yaml": None} not in GRAPH["stages"][stage].get("params", []):
            assert recorded == keys_listed(stage) - OF_PICTURES, stage
        made |= {*outputs(stage)}
        files = (path for path in folder.rglob("*") if path.is_file())
        files = (path for path in files if path != folder / paths.CHECKPOINT)
        assert {str(path.relative_to(folder)) for path in files} == made


def test_each_stage_explains_itself_and_runs_its_module() -> None:
    for name, stage in GRAPH["stages"].items():
        assert stage["desc"]
        assert stage["cmd"] == f"python -m stages.{name}"


def test_the_test_split_is_no_input_of_training() -> None:
    assert not [dep for dep in GRAPH["stages"]["train"]["deps"] if "test" in dep or "t10k" in dep]


def test_every_stage_runs_again_with_other_packages() -> None:
    for name in STAGES[1:]:
        assert "data/checked" in GRAPH["stages"][name]["deps"], name


def test_metrics_and_plots_are_in_git() -> None:
    for stage in GRAPH["stages"].values():
        for entry in [*stage.get("metrics", []), *stage.get("plots", [])]:
            assert next(iter(entry.values()))["cache"] is False
    assert "plots" not in GRAPH, "a plot listed twice is drawn twice"


def test_every_model_is_an_artifact() -> None:
    artifacts: list[dict[str, Any]] = list(GRAPH["artifacts"].values())
    models = {name for stage in STAGES for name in outputs(stage) if name.startswith("models/")}
    assert {artifact["path"] for artifact in artifacts} == models - {
        "models/README.md",
        "models/origin.json",
    }
    assert {artifact["type"] for artifact in artifacts} == {"model"}
