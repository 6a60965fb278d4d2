"""The published results are those of the rows, and the rows those of the pipeline."""

import json
import os

import pandas as pd
import pytest
import yaml

from stages import preprocess
from stages.lib import parameters
from study import plan
from study.row import identity
from study.run import summary
from tests.project import ROOT

GRAPH = yaml.safe_load((ROOT / "study/dvc.yaml").read_text())
RECIPES: list[str] = GRAPH["stages"]["recipe"]["foreach"]


def rows_of(name: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / f"metrics/study/seeds/{name}.csv", dtype={"identity": str})


@pytest.mark.parametrize("name", RECIPES)
def test_every_seed_was_trained_by_the_same_code(name: str) -> None:
    rows = rows_of(name)
    seeds = plan.read(ROOT / plan.PATH).seeds
    assert rows["seed"].tolist() == list(range(seeds))
    assert set(rows["recipe"]) == {name}
    assert rows["identity"].nunique() == 1
    assert rows["model_md5"].nunique() == seeds


@pytest.mark.parametrize("name", RECIPES)
def test_the_summary_is_that_of_the_rows(name: str) -> None:
    recipe = parameters.read(ROOT / f"recipes/{name}.yaml")
    found = json.loads((ROOT / f"metrics/study/{name}.json").read_text())
    expected = summary(rows_of(name), recipe, 60_000 - recipe.preprocess.validation_size)
    assert found.pop("accuracies") == expected.pop("accuracies")
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters_below", "mean", "mean_low"),
    [
        ("described", 20_000, 0, 0),
        ("tuned", 15_579, 0.9945, 0.9943),
        ("small", 10_000, 0.9950, 0.9943),
        ("record", 20_000, 0.9960, 0.9943),
    ],
)
def test_the_recipes_keep_what_is_said_of_them(
    name: str, parameters_below: int, mean: float, mean_low: float
) -> None:
    found = json.loads((ROOT / f"metrics/study/{name}.json").read_text())
    assert found["n"] >= 20
    assert found["epochs"] <= 19
    assert found["parameters"] < parameters_below
    assert found["mean"] >= mean
    assert found["mean_low"] > mean_low


@pytest.mark.skipif("PIPELINE" not in os.environ, reason="needs the data: .ci/run has it")
@pytest.mark.parametrize("name", RECIPES)
def test_the_rows_are_of_this_code_and_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = parameters.read(ROOT / f"recipes/{name}.yaml")
    training, _ = preprocess.training_splits(recipe.preprocess)
    test = preprocess.testing_split(training.normalisation)
    assert set(rows_of(name)["identity"]) == {identity(recipe, training, test)}


def test_every_recipe_is_studied() -> None:
    assert sorted(RECIPES) == sorted(path.stem for path in ROOT.glob("recipes/*.yaml"))


def test_seed_0_of_the_default_recipe_is_the_model_of_the_pipeline() -> None:
    """Which CI trains anew on every run."""
    default = parameters.read(ROOT / "params.yaml")
    same = [name for name in RECIPES if parameters.read(ROOT / f"recipes/{name}.yaml") == default]
    assert same == ["tuned"]
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]["train"]
    made = {out["path"]: out["md5"] for out in lock["outs"]}
    assert rows_of("tuned")["model_md5"][0] == made["models/model.safetensors"]
