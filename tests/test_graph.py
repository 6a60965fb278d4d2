"""dvc.yaml says exactly what each stage imports and which parameters it reads."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.lib import parameters
from stages.lib.parameters import Parameters, Section
from tests import digits
from tests.project import ROOT, SMALL, change_parameters

GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, dict[str, Any]] = GRAPH["stages"]
STUDY: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "study/dvc.yaml").read_text())["stages"]
CODE = ("stages", "study")
ORDER = ["check", "download", "preprocess", "train", "evaluate", "export", "card"]


def imported(module: str) -> Iterator[str]:
    """The project's modules that a module's code imports, anywhere in it."""
    for node in ast.walk(ast.parse(file_of(module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(CODE))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(CODE):
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if file_of(inner).is_file() else node.module


def file_of(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def closure(module: str) -> set[str]:
    """A module, all it imports, and the packages that these are in."""
    found, waiting = set[str](), {module}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= {name.rpartition(".")[0], *imported(name)} - found - {""}
    return found


@pytest.mark.parametrize(
    ("module", "deps"),
    [
        *((f"stages.{name}", stage["deps"]) for name, stage in STAGES.items()),
        ("study.screen", STUDY["screen"]["deps"]),
        ("study.run", STUDY["recipe"]["do"]["deps"]),
    ],
)
def test_code_dependencies_are_the_import_closure(module: str, deps: list[str]) -> None:
    listed = [dep for dep in deps if dep.endswith(".py")]
    needed = {str(file_of(each).relative_to(ROOT)) for each in closure(module)}
    assert sorted(listed) == sorted(needed)


def test_no_stage_imports_a_stage_and_no_library_imports_one() -> None:
    for path in (ROOT / "stages").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        others = set(imported(module)) - {module, "stages", "stages.lib"}
        assert all(name.startswith("stages.lib.") for name in others), module


def test_libraries_know_no_path_of_the_project() -> None:
    for path in (ROOT / "stages/lib").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith(("data/", "models/", "metrics/", "plots/")), path


def keys_listed(stage: str) -> set[str]:
    """The keys that dvc.yaml makes a stage depend on, sections written out."""
    fields = Parameters.model_fields
    sections = {name: list(field.annotation.model_fields) for name, field in fields.items()}
    return {
        f"{section}.{key}"
        for entry in STAGES[stage].get("params", [])
        for section, keys in sections.items()
        for key in keys
        if entry in (section, f"{section}.{key}")
    }


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collects every key of params.yaml that is looked at after the file was read."""
    keys: set[str] = set()
    names: dict[int, str] = {}
    alive: list[Parameters] = []  # an id means nothing once its object is gone
    read, get = parameters.read, object.__getattribute__

    def read_and_watch(path: Path) -> Parameters:
        chosen = read(path)
        alive.append(chosen)
        names.update({id(getattr(chosen, name)): name for name in Parameters.model_fields})
        return chosen

    def watch(section: Section, attribute: str) -> object:
        if id(section) in names and attribute in type(section).model_fields:
            keys.add(f"{names[id(section)]}.{attribute}")
        return get(section, attribute)

    monkeypatch.setattr(parameters, "read", read_and_watch)
    monkeypatch.setattr(Section, "__getattribute__", watch, raising=False)
    return keys


def test_parameters_are_exactly_the_keys_that_each_stage_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: set[str]
) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "recipes/described.yaml").read_bytes())
    change_parameters(tmp_path / "params.yaml", SMALL)
    from stages import download

    monkeypatch.setattr(download, "MNIST", digits.write_idx(tmp_path / "mirror"))
    monkeypatch.setenv("MNIST_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)
    for stage in ORDER:
        recorded.clear()
        importlib.import_module(f"stages.{stage}").main()
        if stage in ("check", "card"):
            assert STAGES[stage]["params"] == [{"params.yaml": None}], "it reads everything"
        else:
            assert recorded == keys_listed(stage), stage
    listed = {output for stage in ORDER for output in outputs(stage)}
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    made = {name for name in made if not name.startswith(("mirror/", "params.yaml"))}
    assert made == listed, "a stage writes what dvc.yaml lists, and nothing else"


def outputs(stage: str) -> list[str]:
    entries = [
        entry for kind in ("outs", "metrics", "plots") for entry in STAGES[stage].get(kind, [])
    ]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_stages_stand_in_order_and_explain_themselves() -> None:
    assert list(STAGES) == ORDER
    for name, stage in STAGES.items():
        assert stage["desc"]
        assert stage["cmd"] == f"python -m stages.{name}"


def test_the_test_split_is_no_input_of_training() -> None:
    assert not [dep for dep in STAGES["train"]["deps"] if "test" in dep or "t10k" in dep]


def test_metrics_and_plots_are_in_git() -> None:
    for stage in STAGES.values():
        for entry in [*stage.get("metrics", []), *stage.get("plots", [])]:
            assert next(iter(entry.values()))["cache"] is False
    assert "plots" not in GRAPH, "a plot listed twice is drawn twice"


def test_every_model_is_an_artifact() -> None:
    artifacts = GRAPH["artifacts"].values()
    models = {name for stage in ORDER for name in outputs(stage) if name.startswith("models/")}
    models.remove("models/README.md")
    assert {artifact["path"] for artifact in artifacts} == models
    assert {artifact["type"] for artifact in artifacts} == {"model"}
