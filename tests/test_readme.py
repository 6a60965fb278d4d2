"""The README says what the files say."""

import ast
import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.lib import files, model, onnx_file, parameters
from stages.lib.layers import ceilings, layers_of
from stages.lib.model import DigitNet
from tests import digits, readme
from tests.project import ROOT
from tests.test_repository import committed

README = (ROOT / "README.md").read_text()


def test_it_begins_with_its_title_and_has_each_section_once() -> None:
    assert README.startswith("# MNIST on DVC, reproducible to the bit\n\n")
    titles = re.findall(r"^#+ .*$", re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S), re.M)
    assert len(set(titles)) == len(titles) > 10


def test_the_result_is_that_of_the_metrics() -> None:
    metrics = json.loads(committed("metrics/evaluate.json"))
    low, high = (100 * metrics[f"accuracy_{end}"] for end in ("low", "high"))
    stated = " ".join(README.split())
    assert f"**{100 * metrics['accuracy']:.2f} % of the {metrics['examples']:,} test" in stated
    assert f"95 % interval {low:.2f} to {high:.2f} %" in stated
    assert f"{metrics['parameters']:,} parameters" in stated


def test_the_exported_files_are_those_of_the_metrics() -> None:
    found = json.loads(committed("metrics/export.json"))
    stated = " ".join(README.split())
    assert found["float32_same_digits"] == found["examples"] == 10_000
    assert found["int8_accuracy"] >= found["float32_accuracy"] - 0.0002
    assert f"reads all {found['examples']:,} test images as torch does" in stated
    assert f"reads {found['int8_same_digits']:,} of them so" in stated
    assert f"{100 * found['int8_accuracy']:.2f} % right (`metrics/export.json`)" in stated
    sizes = [round(found[f"{kind}_bytes"] / 1000) for kind in ("int8", "float32")]
    assert f"{sizes[0]} kB instead of {sizes[1]}" in stated


def test_the_means_are_those_of_the_study() -> None:
    stated = " ".join(README.split())
    tuned, described, record, small = (
        json.loads((ROOT / f"metrics/study/{name}.json").read_text())
        for name in ("tuned", "described", "record", "small")
    )
    mean, low, high = (100 * tuned[key] for key in ("mean", "mean_low", "mean_high"))
    assert f"**{mean:.2f} % on the mean over {tuned['n']} seeds**" in stated
    assert f"95 % interval {low:.2f} to {high:.2f} %), against" in stated
    assert f"against {100 * described['mean']:.2f} % for the described one" in stated
    assert record["epochs"] == tuned["epochs"]
    sds = [100 * found["sd"] for found in (tuned, described, record, small)]
    errors = [
        100 * math.sqrt(found["mean"] * (1 - found["mean"]) / 10_000)
        for found in (tuned, described, record, small)
    ]
    assert f"standard deviation of {min(sds):.2f} to {max(sds):.2f} points" in stated
    assert f"on 10,000 images is {min(errors):.2f} to {max(errors):.2f}." in stated
    assert f"a network of {record['parameters']:,} parameters in as many epochs" in stated
    assert f"reaches **{100 * record['mean']:.2f} %** on the mean, and" in stated
    assert f"with {small['parameters']:,}, **{100 * small['mean']:.2f} %**" in stated
    assert sum(accuracy >= 0.9943 for accuracy in described["accuracies"].values()) == 1
    assert "described recipe's 20 seeds one reaches 99.43 %" in stated


def test_the_comparison_is_what_the_command_says() -> None:
    shown = readme.command("python -m study.compare described tuned")
    command = [sys.executable, *shown.split()[1:]]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert f"$ {shown}\n{said}```" in README


def test_every_make_target_exists_and_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert {"setup", "run", "repro", "test", "lint", "plots"} <= targets
    assert set(re.findall(r"`?\bmake ([a-z-]+)`", README)) <= targets
    assert set(re.search(r"\.PHONY: (.*)", makefile)[1].split()) == targets


def test_every_path_exists() -> None:
    made = (
        "checkpoints/", "dvc_plots/", "data/", "models/", "demo/site/", ".venv/",
        ".dvc/config.local",
    )  # fmt: skip
    for path in re.findall(r"[`(]((?:\.?\w[\w.-]*/)+[\w.-]*)[`)]", README):
        assert path.startswith(made) or (ROOT / path).exists(), path


def test_error_messages_are_those_of_the_code() -> None:
    table = README.partition("## When something goes wrong")[2]
    code = "".join(path.read_text() for path in (ROOT / "stages").rglob("*.py"))
    code += (ROOT / "Makefile").read_text()
    for phrase in (
        "no mirror delivered",
        "is not this project's environment",
        "cannot make .venv",
        "no longer finite",
        "logits differ",
        "nothing is drawn on it",
        "is at work in this folder",
        "is damaged",
        "is of other parameters, data, code or device",
        "are needed",
    ):
        assert phrase in table
        assert phrase in code


def test_the_python_of_the_readme_runs_and_the_sizes_are_those_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = parameters.read(ROOT / "recipes/tuned.yaml").model
    network = DigitNet(chosen.blocks, chosen.hidden, chosen.dropout, torch.Generator())
    drawn, layers = digits.split(20), layers_of(network)
    highest = ceilings(layers, drawn.normalisation(drawn.images.unsqueeze(1)))
    floats = onnx_file.encode(layers, drawn.normalisation)
    integers = onnx_file.encode(layers, drawn.normalisation, highest)
    sizes = f"{len(integers) / 1000:.0f} kB instead of {len(floats) / 1000:.0f}."
    assert sizes in " ".join(README.split())

    monkeypatch.chdir(tmp_path)
    files.write(Path("models/model.onnx"), floats)
    names = {}
    exec(re.search(r"```python\n(.*?)```", README, re.DOTALL)[1], names)
    assert names["logits"].shape == names["probabilities"].shape == (1, 10)
    expected = model.predict(network, torch.from_numpy(names["images"]), drawn.normalisation)
    assert np.allclose(names["logits"], expected, atol=1e-4)


def test_the_ci_script_calls_the_readmes_test_command() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "\nmake test\n" in script
    assert "make test " in README
    subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=True)


def test_the_table_of_promises_is_that_of_the_marks() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "tests/faults"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    collected = Counter(line.partition("[")[0] for line in said.splitlines())

    _, _, rest = README.partition("<!-- begin: make verify-faults -->")
    table = rest.partition("<!-- end -->")[0]
    listed = re.findall(r"^\| (.*) \| `(tests/faults/\w+\.py::\w+)` \| ([\d,]+) \|$", table, re.M)
    expected = []
    for path in sorted((ROOT / "tests/faults").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            for mark in getattr(node, "decorator_list", []):
                if ast.unparse(mark).startswith("pytest.mark.promise("):
                    test = f"{path.relative_to(ROOT)}::{node.name}"
                    times = {each.arg: ast.literal_eval(each.value) for each in mark.keywords}
                    count = times["thorough"] * collected[test]
                    expected.append((ast.literal_eval(mark.args[0]), test, f"{count:,}"))
    assert len(expected) > 10
    assert sorted(listed) == sorted(expected)
