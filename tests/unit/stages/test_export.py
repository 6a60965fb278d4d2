"""The export stage writes only files that compute what torch computes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from digits.core import files, split
from digits.core.errors import UserError
from digits.network import model_file
from digits.network.digitnet import DigitNet
from stages import export, paths
from tests import drawn
from tests.project import ROOT
from tests.unit.networks import network

TEST = drawn.split(300)
OUTPUTS = (paths.ONNX, paths.INTEGER_ONNX, paths.EXPORT_METRICS)


@pytest.fixture
def untrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DigitNet:
    """A network and drawn digits, in place for the stage."""
    monkeypatch.chdir(tmp_path)
    made = network([4, "pool", 5, 6], 8, 0.5).eval()
    split.save(paths.TEST, TEST)
    split.save(paths.TRAIN, drawn.split(200, seed=1))
    model_file.save(paths.MODEL, made, TEST.normalisation)
    files.write_metrics(paths.TRAIN_METRICS, {}, {"temperature": 2.0})
    return made


def test_metrics_are_those_of_the_files_whatever_the_settings(untrained: DigitNet) -> None:
    export.main()
    (metrics,) = json.loads(paths.EXPORT_METRICS.read_text())["details"]
    expected = model_file.classify(untrained, TEST.images, TEST.normalisation).argmax(1).numpy()
    assert metrics["examples"] == metrics["float32_same_digits"] == 300
    for kind, path in (("float32", paths.ONNX), ("int8", paths.INTEGER_ONNX)):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        logits, probabilities = session.run(None, {"images": TEST.images.numpy()})
        powers = np.exp(logits / 2)
        assert probabilities == pytest.approx(powers / powers.sum(1, keepdims=True), abs=1e-5)
        digits = logits.argmax(1)
        accuracy = np.mean(digits == TEST.labels.numpy())
        assert metrics[f"{kind}_bytes"] == path.stat().st_size
        assert metrics[f"{kind}_accuracy"] == pytest.approx(accuracy, abs=1e-6)
        assert metrics[f"{kind}_same_digits"] == np.sum(digits == expected)

    first = [path.read_bytes() for path in OUTPUTS]
    hostile = {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "3", "ATEN_CPU_CAPABILITY": "default"}
    done = subprocess.run(
        [sys.executable, "-m", "stages.export"],
        env=os.environ | hostile | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "300 of 300 test images read as torch reads them" in done.stderr
    assert first == [path.read_bytes() for path in OUTPUTS]


def test_an_empty_split_and_a_file_that_computes_something_else_are_refused(
    untrained: DigitNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrained.get_submodule("bn2").running_var.mul_(1.01)
    wrong = export.operations_of(untrained)
    monkeypatch.setattr(export, "operations_of", lambda _: wrong)
    with pytest.raises(UserError, match=r"model.onnx: not written: .* expected below 0.0001, and"):
        export.main()
    split.save(paths.TEST, TEST.first(0))
    with pytest.raises(UserError, match="holds no images"):
        export.main()
    assert not [path for path in OUTPUTS if path.exists()]


@pytest.mark.parametrize(
    ("logit", "allowed", "refused", "limit"),
    [(0.0, 5e-5, torch.nan, "0.0001"), (20.0, 1.5e-4, 3e-4, "0.0002"), (1e3, 1e-3, 0.1, "0.01")],
)
def test_the_limit_grows_with_the_logits(
    logit: float, allowed: float, refused: float, limit: str
) -> None:
    expected = torch.full((3, 10), logit)
    assert export.largest_difference(expected + allowed, expected) == pytest.approx(allowed, 0.1)
    with pytest.raises(UserError, match=f"expected below {limit}"):
        export.largest_difference(expected + refused, expected)


@pytest.mark.parametrize(("lead", "is_tie"), [(5e-5, True), (1.5e-4, False)])
def test_another_digit_is_refused_unless_torch_sees_a_tie(lead: float, is_tie: bool) -> None:
    expected, logits = torch.zeros(3, 10), torch.zeros(3, 10)
    expected[1, 4] = lead
    logits[1, 4], logits[1, 7] = lead - 0.9e-4, 0.9e-4
    assert logits[1].argmax() != expected[1].argmax()
    if is_tie:
        assert export.largest_difference(logits, expected) == pytest.approx(0.9e-4)
    else:
        with pytest.raises(UserError, match="1 of 3 test images are read as another digit"):
            export.largest_difference(logits, expected)
