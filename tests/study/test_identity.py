"""What changes the identity of a result, and what does not."""

import pytest
import torch

from stages.lib import augment, parameters
from stages.lib.parameters import Parameters
from stages.lib.splits import Split
from study.identity import identity
from tests import digits
from tests.project import ROOT

DESCRIBED = parameters.read(ROOT / "recipes/described.yaml")
RECIPE = DESCRIBED.model_copy(
    update={
        "model": DESCRIBED.model.model_copy(update={"blocks": [4, "pool", 4], "hidden": None}),
        "train": DESCRIBED.train.model_copy(update={"epochs": 3, "batch_size": 20}),
    }
)
TRAINING, SCORED = digits.split(200), digits.split(50, seed=1)


def of(recipe: Parameters = RECIPE, training: Split = TRAINING, scored: Split = SCORED) -> str:
    return identity(recipe, training, scored)


def changed(section: str, values: dict[str, object]) -> Parameters:
    part = getattr(RECIPE, section).model_copy(update=values)
    return RECIPE.model_copy(update={section: part})


def test_it_is_the_same_every_time() -> None:
    assert of() == of()
    assert len(of()) == 16


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("train", {"epochs": 4}),
        ("train", {"dropout_epochs": 1}),
        ("train", {"device": "cuda"}),
        ("model", {"hidden": 5}),
        ("preprocess", {"validation_size": 10}),
        ("augment", {"rotation": 11.0}),
    ],
)
def test_a_parameter_changes_it(section: str, values: dict[str, object]) -> None:
    assert of(changed(section, values)) != of()


def test_one_pixel_or_label_changes_it() -> None:
    for place in ("training", "scored"):
        split = {"training": TRAINING, "scored": SCORED}[place]
        images, labels = split.images.clone(), split.labels.clone()
        images[-1, 0, 0] += 1
        labels[-1] = (labels[-1] + 1) % 10
        assert of(**{place: Split(images, split.labels, split.normalisation)}) != of()
        assert of(**{place: Split(split.images, labels, split.normalisation)}) != of()


def test_code_that_computes_something_else_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before, grid = of(), augment._grid
    monkeypatch.setattr(augment, "_grid", lambda *given: grid(*given) + 0.05)
    assert of() != before


def test_code_that_computes_the_same_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before, grid = of(), augment._grid
    monkeypatch.setattr(augment, "_grid", lambda *given: torch.clone(grid(*given)))
    assert of() == before


def test_the_seed_the_budget_and_the_source_do_not_change_it() -> None:
    assert of(changed("train", {"seed": 7})) == of()
    assert of(changed("model", {"parameter_budget": 7})) == of()
    assert of(changed("download", {"source": "sample"})) == of()
