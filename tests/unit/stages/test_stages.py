"""Each stage's main(), on files in a folder of its own."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from digits import load
from digits.core import config, files, split
from digits.core.data_shape import DataShape
from digits.core.entry_point import run_stage
from digits.core.errors import UserError
from digits.core.split import Normalisation
from digits.core.stage_lock import LOCK, stage_lock
from digits.network import model_file, model_origin
from digits.network.digitnet import DigitNet
from digits.reporting import galleries
from digits.training import environment, loop
from digits.training.loop import measure_split
from stages import check, evaluate, paths, train
from tests import drawn
from tests.project import ROOT, SMALL, change_parameters
from tests.unit.networks import network, seeded
from tools.verify.origin import foreign_model

TEST = drawn.split(1234)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths.PARAMETERS.write_bytes((ROOT / "recipes/described.yaml").read_bytes())


@pytest.fixture
def untrained() -> DigitNet:
    """A network and 1,234 test digits, in place for `evaluate`."""
    made = network([4, "pool"], dropout=0.5).eval()
    split.save(paths.TEST, TEST)
    model_file.save(paths.MODEL, made, TEST.normalisation)
    split.save(paths.TRAIN, drawn.split(300))
    split.save(paths.VALIDATION, drawn.split(60, seed=1))
    parameters = config.read(paths.PARAMETERS)
    sections = [parameters.model, parameters.augment, parameters.train]
    model_origin.save(paths.ORIGIN, paths.MODEL, sections, paths.TRAINED_ON)
    files.write_metrics(paths.TRAIN_METRICS, {}, {"temperature": 1.5})
    files.write(paths.FILES, b"split,file\n")
    return made


def test_check_refuses_a_bad_value_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shutil.copy(ROOT / paths.LOCK, paths.LOCK)
    paths.RECIPES.mkdir()
    files.write(paths.STUDY, b"{}")
    before = set(Path().iterdir())
    right = paths.PARAMETERS.read_bytes()
    for section, key, value in (
        ("train", "epochs", 0),
        ("download", "source", "mnits"),
        ("model", "blocks", [8, "pol"]),
        ("model", "parameter_budget", 9),
        ("train", "device", "cuda"),
    ):
        change_parameters(paths.PARAMETERS, {section: {key: value}})
        with pytest.raises(UserError, match=f"params.yaml: {section}.{key}.* is "):
            check.main()
        paths.PARAMETERS.write_bytes(right)
    recipe = paths.RECIPES / "worn.yaml"
    recipe.write_bytes(right.replace(b"epochs:", b"epoch:"))
    with pytest.raises(UserError, match=r"^recipes/worn.yaml: train.epoch"):
        check.main()
    recipe.unlink()
    files.write(paths.STUDY, b"<<<<<<< HEAD")
    with pytest.raises(UserError, match=r"^metrics/study.json, line 1: not JSON.*study.report"):
        check.main()
    files.write(paths.STUDY, b"{}")
    assert set(Path().iterdir()) == before
    check.main()
    assert paths.CHECKED.is_file()


def test_checked_holds_the_versions_of_what_computes_and_no_others() -> None:
    lock = (ROOT / paths.LOCK).read_text()
    listed = check.computing(lock)
    assert {line.partition("==")[0] for line in listed.splitlines()} == {*environment.PACKAGES}
    assert "sha256" not in listed
    assert check.computing(lock.replace("ruff==", "ruff==9")) == listed
    assert check.computing(lock.replace("torch==", "torch==9")) != listed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: change_parameters(paths.PARAMETERS, {"train": {"epochs": 7}}), "parameters"),
        (lambda: split.save(paths.TRAIN, drawn.split(299)), "data"),
        (paths.ORIGIN.unlink, r"not the file that models/origin.json describes"),
        (
            lambda: model_file.save(paths.MODEL, network([5, "pool"]).eval(), TEST.normalisation),
            "not the file",
        ),
    ],
)
def test_a_model_of_other_parameters_or_data_is_refused(
    untrained: DigitNet, change: Callable[[], object], message: str
) -> None:
    assert not [*foreign_model()]
    change()
    assert re.search(message, "".join(foreign_model()))
    with pytest.raises(UserError, match=message):
        evaluate.main()
    assert not paths.TEST_METRICS.exists()


def test_train_writes_what_belongs_together(monkeypatch: pytest.MonkeyPatch) -> None:
    change_parameters(paths.PARAMETERS, SMALL)
    validation = drawn.split(60, seed=1)
    split.save(paths.TRAIN, drawn.split(300))
    split.save(paths.VALIDATION, validation)
    train.main()
    learner, normalisation = model_file.load(paths.MODEL)
    metrics = json.loads(paths.TRAIN_METRICS.read_text())
    assert set(metrics) == {"parameters", "validation_accuracy", "details"}
    metrics |= metrics["details"][0]
    assert normalisation == validation.normalisation
    assert metrics["parameters"] == sum(weight.numel() for weight in learner.parameters())
    for name, value in measure_split(learner, validation).items():
        assert metrics[f"validation_{name}"] == pytest.approx(value, rel=1e-5)
    (record,) = json.loads(paths.ENVIRONMENT.read_text())["details"]
    assert record == environment.describe(torch.device("cpu"))
    first, last = pd.read_csv(paths.CURVES).to_dict("records")
    assert (first["epoch"], last["epoch"]) == (1, 2)
    assert last == pytest.approx({key: metrics[key] for key in last})
    before = paths.MODEL.read_bytes()
    paths.MODEL.unlink()
    monkeypatch.setattr(loop, "train_epoch", None)  # nothing is trained again
    train.main()
    assert paths.MODEL.read_bytes() == before


def test_evaluate_scores_every_image_once(
    untrained: DigitNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(galleries, "ERRORS_SHOWN", 4)  # drawing takes longer than scoring
    monkeypatch.setattr(galleries, "VERSIONS_SHOWN", 1)
    evaluate.main()
    metrics = json.loads(paths.TEST_METRICS.read_text())
    assert set(metrics) == {"errors", "loss", "accuracy", "parameters", "details"}
    metrics |= metrics["details"][0]
    with torch.no_grad():
        predicted = untrained(TEST.normalisation(TEST.images.unsqueeze(1))).argmax(1)
    errors = int((predicted != TEST.labels).sum())
    assert len(metrics["misread"]) == errors
    assert all(predicted[number] != TEST.labels[number] for number in metrics["misread"])
    assert (metrics["dataset"], metrics["examples"], metrics["errors"]) == ("mnist", 1234, errors)
    assert metrics["accuracy"] == pytest.approx(1 - errors / 1234, abs=1e-6)
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
    assert metrics["parameters"] == sum(weight.numel() for weight in untrained.parameters())
    assert metrics["parameter_budget"] == 20_000
    table = pd.read_csv(paths.CONFUSION)
    assert (len(table), table["count"].sum()) == (100, 1234)
    assert table.query("actual != predicted")["count"].sum() == errors
    bars = pd.read_csv(paths.CLASSES)
    assert bars["errors"].sum() == errors
    assert metrics["recall"] == dict(zip(bars["class"].astype(str), bars["recall"], strict=True))
    for path in (paths.WORST_ERRORS, paths.TRAINING_DATA, paths.AUGMENTATION):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_evaluate_scores_any_model_and_writes_nothing(
    untrained: DigitNet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = network([8, "pool"]).eval()
    model_file.save(Path("other.safetensors"), other, Normalisation(mean=0.2, std=0.4))
    load("other.safetensors").save_pretrained("hub")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    for path in ("other.safetensors", "hub"):
        monkeypatch.setattr(sys, "argv", ["evaluate", "--model", path])
        with stage_lock():  # a stage may be at work
            run_stage(evaluate.main, model=evaluate.score_other)
        metrics = json.loads(capsys.readouterr().out)
        logits = model_file.classify(other, TEST.images, Normalisation(mean=0.2, std=0.4))
        errors = int((logits.argmax(1) != TEST.labels).sum())
        assert (metrics["examples"], metrics["errors"]) == (1234, errors)
        assert metrics["accuracy"] == pytest.approx(1 - errors / 1234)
        assert metrics["parameters"] == sum(weight.numel() for weight in other.parameters())
        assert len(metrics["recall"]) == 10
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert {path for path in before | after if before.get(path) != after.get(path)} == {LOCK}

    others = network([8, "pool"], shape=DataShape(12)).eval()
    model_file.save(Path("other.safetensors"), others, TEST.normalisation)
    monkeypatch.setattr(sys, "argv", ["evaluate", "--model", "other.safetensors"])
    with pytest.raises(SystemExit, match="^error: other.safetensors: reads 12x12 grey .* 28x28"):
        run_stage(evaluate.main, model=evaluate.score_other)

    paths.TEST.unlink()
    with pytest.raises(SystemExit, match=f"^error: {paths.TEST}: no such file; `dvc repro`"):
        run_stage(evaluate.main, model=evaluate.score_other)


def test_evaluate_shows_the_worst_errors_first(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[list[float]] = []
    monkeypatch.setattr(galleries.pictures, "worst_errors", lambda *rest: shown.extend(rest) or b"")
    galleries.draw_errors(TEST, torch.randn(1234, 10, generator=seeded(1)), ())
    _, labels, predicted, losses, _ = shown
    assert len(losses) == galleries.ERRORS_SHOWN
    assert losses == sorted(losses, reverse=True)
    assert all(label != digit for label, digit in zip(labels, predicted, strict=True))


def test_evaluate_refuses_an_empty_split_and_an_infinite_loss(
    untrained: DigitNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = torch.full([1234, 10], torch.nan)
    monkeypatch.setattr(evaluate.model_file, "classify", lambda *_: nothing)
    with pytest.raises(UserError, match=r"model.safetensors: its loss on .* is nan"):
        evaluate.main()
    split.save(paths.TEST, TEST.first(0))
    with pytest.raises(UserError, match="holds no images"):
        evaluate.main()
    assert not paths.TEST_METRICS.exists()
