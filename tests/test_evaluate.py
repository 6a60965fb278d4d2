"""The evaluate stage scores what it should, all of it."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from stages import evaluate
from stages.lib import model, splits
from stages.lib.errors import UserError
from stages.lib.model import DigitNet
from stages.lib.splits import Split
from tests import digits
from tests.project import ROOT


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DigitNet:
    """An untrained network and 1,234 test digits, in place for the stage."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "recipes/described.yaml").read_bytes())
    test = digits.split(1234)
    splits.save(evaluate.TEST, test)
    net = DigitNet([4, "pool"], None, 0.5, torch.Generator().manual_seed(0)).eval()
    model.save(evaluate.MODEL, net, test.normalisation)
    return net


def test_every_image_is_scored_once(network: DigitNet) -> None:
    evaluate.main()
    metrics = json.loads(evaluate.METRICS.read_text())
    test = digits.split(1234)
    with torch.no_grad():
        predicted = network(test.normalisation(test.images.unsqueeze(1))).argmax(1)
    errors = int((predicted != test.labels).sum())
    assert metrics["examples"] == 1234
    assert metrics["errors"] == errors
    assert metrics["accuracy"] == pytest.approx(1 - errors / 1234, abs=1e-6)
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
    assert metrics["dataset"] == "mnist"
    assert metrics["parameters"] == sum(weight.numel() for weight in network.parameters())
    assert metrics["parameter_budget"] == 20_000
    table = pd.read_csv(evaluate.PLOTS / "confusion.csv")
    assert len(table) == 100
    assert table["count"].sum() == 1234
    assert table.query("actual != predicted")["count"].sum() == errors
    bars = pd.read_csv(evaluate.PLOTS / "digits.csv")
    assert bars["errors"].sum() == errors
    assert metrics["recall"] == dict(zip(bars["digit"].astype(str), bars["recall"], strict=True))


def test_the_worst_errors_come_first(network: DigitNet, monkeypatch: pytest.MonkeyPatch) -> None:
    test = digits.split(200)
    logits = torch.randn(200, 10, generator=torch.Generator().manual_seed(1))
    shown: list[object] = []
    monkeypatch.setattr(
        evaluate.pictures, "worst_errors", lambda *arguments: shown.extend(arguments) or b""
    )
    evaluate.picture_errors(test, logits)
    _, labels, predicted, losses = shown
    assert len(losses) == evaluate.ERRORS_SHOWN
    assert losses == sorted(losses, reverse=True)
    assert all(label != guess for label, guess in zip(labels, predicted, strict=True))


def test_it_draws_the_same_bytes_twice(network: DigitNet) -> None:
    evaluate.main()
    first = {path.name: path.read_bytes() for path in evaluate.PLOTS.iterdir()}
    evaluate.main()
    assert first == {path.name: path.read_bytes() for path in evaluate.PLOTS.iterdir()}
    assert set(first) == {"confusion.csv", "digits.csv", "worst_errors.png", "augmentation.png"}


def test_an_empty_test_split_is_refused(network: DigitNet) -> None:
    empty = digits.split(10)
    splits.save(evaluate.TEST, Split(empty.images[:0], empty.labels[:0], empty.normalisation))
    with pytest.raises(UserError, match="holds no images"):
        evaluate.main()
    assert not evaluate.METRICS.exists()
