"""The model card holds the figures of the files, in the form that the Hub reads."""

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from digits.core import config, files
from digits.core.config import Config
from digits.export.onnx_file import encode, operations_of
from digits.network import model_file
from digits.network.digitnet import DigitNet
from digits.sources.catalog import CATALOG
from stages import card, paths
from tests import drawn
from tests.project import ROOT
from tests.unit.networks import seeded
from tests.unit.test_repository import committed

METRICS = json.loads(committed("metrics/evaluate.json"))
METRICS |= METRICS["details"][0]
TUNED = config.read(ROOT / "recipes/tuned.yaml")
STUDY = json.loads((ROOT / "metrics/study.json").read_text())["tuned"]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def front_matter(text: str) -> dict[str, Any]:
    begin, front, rest = text.split("---\n", 2)
    assert begin == ""
    assert rest.startswith("\n# ")
    return yaml.safe_load(front)


def changed(section: str, **values: object) -> Config:
    other = getattr(TUNED, section).model_copy(update=values)
    return TUNED.model_copy(update={section: other})


def card_of(parameters: Config = TUNED, source: str = "mnist", md5: str = "0" * 32) -> str:
    return card.card(parameters, METRICS | {"dataset": source}, md5)


def test_the_committed_card_is_that_of_the_committed_files() -> None:
    outs = yaml.safe_load(committed("dvc.lock"))["stages"]["train"]["outs"]
    (md5,) = (out["md5"] for out in outs if out["path"] == str(paths.MODEL))
    assert committed(str(paths.CARD)) == card_of(md5=md5), "run `dvc repro`"


def test_the_figures_are_those_of_the_metrics_and_of_the_study() -> None:
    text = card_of()
    (metric,) = front_matter(text)["model-index"][0]["results"][0]["metrics"]
    assert (metric["type"], metric["value"]) == ("accuracy", METRICS["accuracy"])
    shares = [METRICS[key] for key in ("accuracy", "accuracy_low", "accuracy_high")]
    means = [STUDY[key] for key in ("mean", "mean_low", "mean_high", "sd")]
    numbers = [f"{100 * value:.2f}" for value in (*shares, *METRICS["recall"].values())]
    numbers += [f"{100 * value:.3f}" for value in means]
    numbers += [f"{METRICS[key]:,}" for key in ("errors", "examples", "parameters")]
    assert all(re.search(rf"\b{number}\b", text) for number in numbers)
    assert str(TUNED.augment) in text
    none = card.card(TUNED, METRICS | {"validation_examples": 0}, "0" * 32)
    assert "Of the training images, none were" in none

    assert card.matching_recipe(changed("train", seed=7)) == "tuned"
    other = changed("train", batch_size=64)
    assert card.matching_recipe(other) is None
    assert f"{100 * STUDY['mean']:.3f}" not in card_of(other)


@pytest.mark.parametrize("source", CATALOG)
def test_it_describes_the_data_that_the_network_was_trained_on(source: str) -> None:
    text, dataset = card_of(source=source), CATALOG[source]
    front = front_matter(text)
    about = front["model-index"][0]["results"][0]["dataset"]
    assert about == {"type": dataset.hub or source, "name": dataset.name, "split": "test"}
    assert front.get("datasets") == ([dataset.hub] if dataset.hub else None)
    assert (dataset.tag in front["tags"]) == bool(dataset.tag)
    assert front["pipeline_tag"] == "image-classification"
    assert front["license"] == "unknown", "none has been chosen"
    assert front["library_name"] == "digits"
    for part in (f"# {dataset.title}\n", dataset.task, dataset.about, dataset.limits):
        assert part in text
    if "digit" not in dataset.task:
        prose = re.sub(
            r"```.*?```|^library_name: digits$", "", text, flags=re.DOTALL | re.MULTILINE
        )
        assert not re.search(r"\b[Dd]igits?\b|\bNIST\b|LeCun", prose)


@pytest.mark.parametrize("source", CATALOG)
def test_the_hub_reads_its_header_without_a_warning(
    source: str, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("huggingface_hub").addHandler(caplog.handler)
    text, dataset = card_of(source=source), CATALOG[source]
    data = ModelCard(text).data
    assert caplog.messages == []
    (result,) = data.eval_results
    assert (result.task_type, result.dataset_split) == ("image-classification", "test")
    assert (result.dataset_type, result.dataset_name) == (dataset.hub or source, dataset.name)
    assert (result.metric_type, result.metric_value) == ("accuracy", METRICS["accuracy"])
    assert (data.library_name, data.license) == ("digits", "unknown")
    assert data.to_dict() == front_matter(text), "it knows every field"

    ModelCard("# No header")
    assert caplog.messages, "it would be seen"


def test_the_stage_writes_a_card_whose_code_loads_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    paths.PARAMETERS.write_bytes((ROOT / "recipes/tuned.yaml").read_bytes())
    files.write_json(paths.TEST_METRICS, METRICS)
    network, split = DigitNet(TUNED.model, seeded()).eval(), drawn.split(3)
    model_file.save(paths.MODEL, network, split.normalisation)
    files.write(paths.ONNX, encode(operations_of(network), split.normalisation))
    card.main()
    text = paths.CARD.read_text()
    assert hashlib.md5(paths.MODEL.read_bytes()).hexdigest() in text

    in_project, elsewhere, without_torch = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"images": split.images}
    monkeypatch.chdir(paths.CARD.parent)  # as on the Hub, where the files are at the root
    exec(in_project, names)
    logits = model_file.classify(network, split.images, split.normalisation)
    assert torch.equal(names["logits"], logits)
    exec(elsewhere, names)
    assert names["weights"].keys() == network.state_dict().keys()
    assert "'blocks': [8, 'pool', 16, 'pool', 32, 'pool']" in capsys.readouterr().out
    names["images"] = split.images.numpy()
    exec(without_torch, names)
    assert abs(names["logits"] - logits.numpy()).max() < 1e-4
    assert names["probabilities"].shape == (3, 10)
