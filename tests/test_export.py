"""The export stage writes what it has checked, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from stages import export
from stages.lib import model, splits
from stages.lib.errors import UserError
from stages.lib.model import DigitNet
from stages.lib.splits import Split
from tests import digits
from tests.project import ROOT


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DigitNet:
    """An untrained network and drawn digits, in place for the stage."""
    monkeypatch.chdir(tmp_path)
    test = digits.split(300)
    splits.save(export.PREPARED / "test.safetensors", test)
    splits.save(export.PREPARED / "train.safetensors", digits.split(200, seed=1))
    net = DigitNet([4, "pool", 5, 6], 8, 0.5, torch.Generator().manual_seed(0)).eval()
    model.save(export.MODEL, net, test.normalisation)
    return net


def made() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (export.ONNX, export.INTEGERS, export.METRICS)}


def test_metrics_are_those_of_the_files(network: DigitNet) -> None:
    export.main()
    metrics = json.loads(export.METRICS.read_text())
    test = digits.split(300)
    expected = model.predict(network, test.images, test.normalisation)
    assert metrics["examples"] == metrics["float32_same_digits"] == 300
    for kind, path in (("float32", export.ONNX), ("int8", export.INTEGERS)):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], {"images": test.images.numpy()})
        digit = logits.argmax(1)
        assert metrics[f"{kind}_bytes"] == path.stat().st_size
        assert metrics[f"{kind}_accuracy"] == pytest.approx(
            np.mean(digit == test.labels.numpy()), abs=1e-6
        )
        assert metrics[f"{kind}_same_digits"] == np.sum(digit == expected.argmax(1).numpy())


def test_another_run_with_other_settings_writes_the_same_bytes(network: DigitNet) -> None:
    export.main()
    first = made()
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
    assert first == made()


def test_a_file_that_computes_something_else_is_not_written(
    network: DigitNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.get_submodule("bn2").running_var.mul_(1.01)
    wrong = export.layers_of(network)
    monkeypatch.setattr(export, "layers_of", lambda _: wrong)
    with pytest.raises(UserError, match=r"model.onnx: not written: .* expected below 0.0001, and"):
        export.main()
    assert not [path for path in (export.ONNX, export.INTEGERS, export.METRICS) if path.exists()]


def test_logits_that_are_no_numbers_are_refused() -> None:
    expected = torch.zeros(3, 10)
    assert export.largest_difference(expected + 5e-5, expected) == pytest.approx(5e-5)
    with pytest.raises(UserError, match="differ"):
        export.largest_difference(expected * torch.nan, expected)


def test_large_logits_may_differ_by_their_rounding() -> None:
    expected = torch.full((3, 10), 1000.0)
    assert export.largest_difference(expected + 0.001, expected) == pytest.approx(0.001, rel=0.1)
    with pytest.raises(UserError, match="expected below 0.01"):
        export.largest_difference(expected + 0.1, expected)


def test_an_empty_test_split_is_refused(network: DigitNet) -> None:
    empty = digits.split(10)
    splits.save(
        export.PREPARED / "test.safetensors",
        Split(empty.images[:0], empty.labels[:0], empty.normalisation),
    )
    with pytest.raises(UserError, match="holds no images"):
        export.main()
    assert not export.ONNX.exists()


@pytest.mark.parametrize(("lead", "is_tie"), [(5e-5, True), (1.5e-4, False)])
def test_another_digit_is_refused_unless_torch_sees_two_as_likely(
    lead: float, is_tie: bool
) -> None:
    expected = torch.zeros(3, 10)
    expected[1, 4] = lead
    found = expected.clone()
    found[1, 4], found[1, 7] = lead - 0.9e-4, 0.9e-4
    assert found[1].argmax() != expected[1].argmax()
    if is_tie:
        assert export.largest_difference(found, expected) == pytest.approx(0.9e-4)
    else:
        with pytest.raises(UserError, match="1 of 3 test images are read as another digit"):
            export.largest_difference(found, expected)


def test_what_rounding_explains_grows_with_the_logits() -> None:
    expected = torch.full((3, 10), 20.0)
    assert export.largest_difference(expected + 1.5e-4, expected) > 1e-4
    with pytest.raises(UserError, match="expected below 0.0002"):
        export.largest_difference(expected + 3e-4, expected)
