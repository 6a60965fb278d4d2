"""What changes the fingerprint of a row, and what does not; and who may not train one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from digits.core.config import Augmentation, Config
from digits.core.errors import UserError
from digits.network import inference, model_file
from digits.training import augment, batches, batchnorm_statistics
from study import one_seed
from study.one_seed import computer, fingerprint, train_seed
from tests import drawn
from tests.study.tiny import RECIPE, SCORED, TRAIN, changed


@pytest.fixture(scope="module")
def before() -> str:
    return fingerprint(RECIPE, TRAIN, SCORED)


def test_it_is_the_same_every_time(before: str) -> None:
    assert fingerprint(RECIPE, TRAIN, SCORED) == before
    assert len(before) == 16


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "epochs", 4),
        ("train", "dropout_epochs", 1),
        ("train", "device", "cuda"),
        ("model", "hidden", 5),
        ("preprocess", "validation_size", 10),
        ("augment", "rotation", 11.0),
    ],
)
def test_a_parameter_changes_it(before: str, section: str, key: str, value: object) -> None:
    assert fingerprint(changed(RECIPE, section, **{key: value}), TRAIN, SCORED) != before


@pytest.mark.parametrize("name", ["images", "labels"])
def test_one_pixel_or_label_changes_it(before: str, name: str) -> None:
    for place, split in enumerate((TRAIN, SCORED)):
        content = getattr(split, name).clone()
        content.view(-1)[-1] ^= 1
        splits = [TRAIN, SCORED]
        splits[place] = replace(split, **{name: content})
        assert fingerprint(RECIPE, *splits) != before


def test_code_that_computes_something_else_changes_it(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = augment._grid
    monkeypatch.setattr(augment, "_grid", lambda *given: torch.clone(grid(*given)))
    assert fingerprint(RECIPE, TRAIN, SCORED) == before, "this computes the same"
    monkeypatch.setattr(augment, "_grid", lambda *given: grid(*given) + 0.05)
    assert fingerprint(RECIPE, TRAIN, SCORED) != before


def test_code_that_groups_images_otherwise_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only more images than are taken at once can tell."""
    many = drawn.split(one_seed.FEW + 100)
    recipe = changed(RECIPE, "train", epochs=1, batch_size=100, norm_images=len(many))
    before = fingerprint(recipe, many, SCORED)
    for module, name, value in (
        (batches, "AT_ONCE", 500),
        (batchnorm_statistics, "BATCH", 500),
        (inference, "EVALUATION_BATCH", 7),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert fingerprint(recipe, many, SCORED) != before, name


def test_the_bytes_of_the_model_and_the_metrics_change_it(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, measure = model_file.save, one_seed.measure_split

    def save_more(path: Path, *given: object) -> None:
        save(path, *given)
        path.write_bytes(path.read_bytes() + b" ")

    with monkeypatch.context() as patch:
        patch.setattr(model_file, "save", save_more)
        assert fingerprint(RECIPE, TRAIN, SCORED) != before
    monkeypatch.setattr(one_seed, "measure_split", lambda *given: measure(*given) | {"loss": 1.0})
    assert fingerprint(RECIPE, TRAIN, SCORED) != before


def test_the_seed_the_budget_and_the_source_do_not_change_it(before: str) -> None:
    recipe = changed(RECIPE, "train", seed=7)
    recipe = changed(recipe, "model", parameter_budget=7)
    recipe = changed(recipe, "download", source="sample")
    assert fingerprint(recipe, TRAIN, SCORED) == before


def test_a_new_parameter_that_is_off_does_not_change_it(before: str) -> None:
    class Extended(Augmentation):
        erasing: float = 0

    class ExtendedConfig(Config):
        augment: Extended

    def extended(**values: float) -> Config:
        content = RECIPE.model_dump()
        return ExtendedConfig(**content | {"augment": content["augment"] | values})

    assert fingerprint(extended(), TRAIN, SCORED) == before
    assert fingerprint(extended(erasing=0.1), TRAIN, SCORED) != before


def test_a_device_that_can_differ_between_nodes_is_refused() -> None:
    with pytest.raises(UserError, match="train.device is auto"):
        fingerprint(changed(RECIPE, "train", device="auto"), TRAIN, SCORED)


def test_a_node_with_another_processor_trains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_seed, "train_network", lambda *_: pytest.fail("it trains"))
    expected = computer("cpu") | {"instructions": "DEFAULT"}
    with pytest.raises(UserError, match=r"computes with .*, expected .*'DEFAULT'"):
        train_seed("tiny", RECIPE, TRAIN, SCORED, expected)
