"""What changes the identity of a row, and what does not; and who may not train one."""

from pathlib import Path
from types import ModuleType

import pytest
import torch

from stages.lib import augment, calibration, model, parameters
from stages.lib.errors import UserError
from stages.lib.parameters import Parameters
from stages.lib.splits import Split
from study import row
from study.row import computer, identity, train_seed
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


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [(augment, "AT_ONCE", 512), (calibration, "BATCH", 500), (model, "EVALUATION_BATCH", 7)],
)
def test_code_that_takes_images_by_other_numbers(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, value: int
) -> None:
    """Only more images than are taken at once can tell."""
    many = digits.split(row.FEW + 100)
    recipe = changed("train", {"epochs": 2, "norm_images": len(many)})
    before = of(recipe, many)
    monkeypatch.setattr(module, name, value)
    assert of(recipe, many) != before


def test_what_is_written_and_how_it_is_scored_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before, save, score = of(), model.save, row.score
    with monkeypatch.context() as patch:
        patch.setattr(model, "save", lambda path, *given: (save(path, *given), append(path)))
        assert of() != before
    with monkeypatch.context() as patch:
        patch.setattr(row, "score", lambda *given: {**score(*given), "accuracy": 1.0})
        assert of() != before
    assert of() == before


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def test_code_that_computes_the_same_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before, grid = of(), augment._grid
    monkeypatch.setattr(augment, "_grid", lambda *given: torch.clone(grid(*given)))
    assert of() == before


def test_the_seed_the_budget_and_the_source_do_not_change_it() -> None:
    assert of(changed("train", {"seed": 7})) == of()
    assert of(changed("model", {"parameter_budget": 7})) == of()
    assert of(changed("download", {"source": "sample"})) == of()


def test_a_device_that_differs_between_nodes_is_refused() -> None:
    with pytest.raises(UserError, match="train.device is auto"):
        of(changed("train", {"device": "auto"}))


def test_a_node_that_computes_otherwise_trains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    here = computer("cpu")
    monkeypatch.setattr(row, "train_recipe", lambda *_: pytest.fail("it trains"))
    other = {**here, "instructions": "DEFAULT"}
    with pytest.raises(UserError, match=r"computes with .*, expected .*'DEFAULT'"):
        train_seed("tiny", RECIPE, TRAINING, SCORED, other)
