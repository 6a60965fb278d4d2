"""What study/params.yaml may ask for."""

from pathlib import Path

import pytest

from digits.core import config
from digits.core.errors import UserError
from study import plan
from study.plan import Screen
from tests.project import ROOT


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def screen(change: dict[str, object]) -> Screen:
    return Screen(seeds=2, validation_size=100, changes={"described": [change]})


def test_the_plan_of_the_project_is_valid() -> None:
    whole = plan.read()
    assert whole.seeds >= 20
    for recipe in plan.variants(whole.screen).values():
        assert recipe.preprocess.validation_size == whole.screen.validation_size


def test_a_variant_differs_in_what_its_name_says() -> None:
    variants = plan.variants(screen({"model.dropout": 0, "train.epochs": 3}))
    assert list(variants) == ["described", "described: model.dropout=0, train.epochs=3"]
    recipe, variant = (config.model_dump() for config in variants.values())
    expected = config.read(Path("recipes/described.yaml")).model_dump()
    expected["preprocess"]["validation_size"] = 100
    assert recipe == expected
    expected["model"]["dropout"], expected["train"]["epochs"] = 0, 3
    assert variant == expected


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model.dropuot": 0}, "model.dropuot: no such key in a recipe"),
        ({"dropout": 0}, "dropout: no such key in a recipe"),
        ({"model.dropout": 2}, "model.dropout is 2: should be less than 1"),
    ],
)
def test_a_wrong_change_is_named(change: dict[str, object], problem: str) -> None:
    with pytest.raises(UserError) as error:
        plan.variants(screen(change))
    assert str(error.value).startswith("study/params.yaml: described: ")
    assert str(error.value).endswith(problem)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(plan.PATH.read_text().replace("  seeds:", "  seed:"))
    with pytest.raises(UserError, match=r"screen.seed: unknown key; did you mean 'seeds'\?"):
        plan.read(file)
