"""Describe the trained model as a card, in the format of the Hugging Face Hub.

Reads all of params.yaml, models/model.safetensors (its md5), metrics/evaluate.json and, if
params.yaml is a file of recipes/ but for the seed, what metrics/study.json says of that recipe.
Writes models/README.md; every figure in it comes from these files.
"""

import hashlib
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.lib import files, parameters
from stages.lib.alone import run_stage
from stages.lib.origins import ORIGINS
from stages.lib.parameters import Parameters

PARAMETERS = Path("params.yaml")
RECIPES = Path("recipes")
MODEL = Path("models/model.safetensors")
METRICS = Path("metrics/evaluate.json")
STUDY = Path("metrics/study.json")
CARD = Path("models/README.md")

TEXT = """\
# {title}

<!-- `dvc repro` writes this file (stages/card.py); what is edited here is lost. -->

{task} a grey image of 28x28 pixels: a convolutional network of
{parameters:,} parameters, trained for {epochs} epochs by a [DVC](https://dvc.org) pipeline.

| file | what it is |
|---|---|
| `model.safetensors` | weights, architecture and normalisation; md5 `{md5}`, as in `dvc.lock` |
| `model.onnx` | the same network with its normalisation, for any ONNX runtime |
| `model.int8.onnx` | the same in 8-bit integers; `metrics/export.json` has its size and accuracy |

## How to load it

In a clone of the project, where `dvc repro` makes the files or `dvc pull` fetches them:

```python
from pathlib import Path

import stages  # before torch: sees to it that every processor gives the same logits
from stages.lib import model

network, normalisation = model.load(Path("models/model.safetensors"))
logits = model.predict(network, images, normalisation)  # uint8 (N, 28, 28) -> float32 (N, 10)
```

Elsewhere, the file's header says what to build:

```python
import json

from safetensors import safe_open

with safe_open("models/model.safetensors", framework="pt") as file:
    header = json.loads(file.metadata()["header"])["content"]
    weights = {{name: file.get_tensor(name) for name in file.keys()}}
print(header["architecture"], header["normalisation"])
```

Without torch; `model.int8.onnx` likewise:

```python
import onnxruntime

session = onnxruntime.InferenceSession("models/model.onnx")
logits, probabilities = session.run(None, {{"images": images}})  # uint8 -> float32 (N, 10) each
```

## Results

**{accuracy} % of the {examples:,} test images right** (95 % interval {low} to {high} %): {errors}
errors, cross-entropy {loss:.4f} nats, with seed {seed}, after the last epoch.
{study}
| {kind} | recall, % |
|--:|--:|
{recall}

## Training data

{about}

The repository of this model holds no images but those in its plots.

## Procedure

Of the training images, {held_out} were held out for validation, drawn by {kind} with seed
{split_seed}. The others were moved anew in every epoch (rotation up to {rotation:g}°, translation
{translation:g} %, scale {scale:g} %, shear {shear:g}°) and shown in batches of {batch_size} to Adam
with weight decay {weight_decay:g} under a one-cycle schedule that peaks at {learning_rate:g}. The
test images are no input of training. Trained with torch {torch}; the project's `requirements.txt`
has every package with its hash, `params.yaml` every value, and `docs/recipes.md` how the values
were chosen, on MNIST, and what was looked at on the way.

## Limits

{limits}

Do not let it decide anything that matters to a person.

## How to reproduce it

In a clone of the project, `make repro` makes everything from nothing, this card too. With
`train.device: cpu`, the model has the md5 above on any x86-64 processor with AVX2.

## Licence

No licence has been chosen yet for this project and its models.
"""


def matching_recipe(chosen: Parameters) -> str | None:
    """The name of the file of recipes/ that has these values, whatever its seed, if one has."""
    values = chosen.model_dump(exclude={"train": {"seed"}})
    for path in sorted(RECIPES.glob("*.yaml")):
        if parameters.read(path).model_dump(exclude={"train": {"seed"}}) == values:
            return path.stem
    return None


def say_study(recipe: str | None) -> str:
    """A paragraph on the seeds of the recipe, or nothing if it has not been studied."""
    studied: dict[str, Any] = json.loads(STUDY.read_text()) if STUDY.is_file() else {}
    if recipe not in studied:
        return ""
    found = studied[recipe]
    mean, low, high, sd = (
        f"{100 * found[key]:.3f}" for key in ("mean", "mean_low", "mean_high", "sd")
    )
    return f"""
The mean over {found["n"]} seeds of this recipe (`recipes/{recipe}.yaml`) is **{mean} %**
(95 % interval of the mean {low} to {high} %, sd {sd} points).
"""


def front_matter(metrics: dict[str, Any]) -> str:
    """What the Hub reads: https://github.com/huggingface/hub-docs/blob/main/modelcard.md."""
    source = metrics["dataset"]
    origin = ORIGINS[source]
    result = {
        "task": {"type": "image-classification", "name": "Image classification"},
        "dataset": {"type": origin.hub or source, "name": origin.name, "split": "test"},
        "metrics": [{"type": "accuracy", "value": metrics["accuracy"], "name": "Accuracy"}],
    }
    content = {
        "pipeline_tag": "image-classification",
        "tags": [*filter(None, [origin.tag]), "pytorch", "safetensors", "onnx"],
        **({"datasets": [origin.hub]} if origin.hub else {}),
        "metrics": ["accuracy"],
        "model-index": [{"name": origin.title.lower(), "results": [result]}],
    }
    written = io.StringIO()
    YAML().dump(content, written)  # pyright: ignore
    return f"---\n{written.getvalue()}---\n"


def card(chosen: Parameters, metrics: dict[str, Any], md5: str) -> str:
    """The whole card of the model with this md5."""
    return front_matter(metrics) + "\n" + text(chosen, metrics, md5)


def text(chosen: Parameters, metrics: dict[str, Any], md5: str) -> str:
    """The card without its front matter."""
    accuracy, low, high = (
        f"{100 * metrics[key]:.2f}" for key in ("accuracy", "accuracy_low", "accuracy_high")
    )
    recall = (f"| {digit} | {100 * share:.2f} |" for digit, share in metrics["recall"].items())
    held_out, moves, train = chosen.preprocess.validation_size, chosen.augment, chosen.train
    return TEXT.format(
        **{key: metrics[key] for key in ("parameters", "examples", "errors", "loss")},
        **{"accuracy": accuracy, "low": low, "high": high, "recall": "\n".join(recall)},
        md5=md5,
        study=say_study(matching_recipe(chosen)),
        **ORIGINS[metrics["dataset"]]._asdict(),
        held_out=f"{held_out:,}" if held_out else "none",
        split_seed=chosen.preprocess.seed,
        rotation=moves.rotation,
        translation=100 * moves.translation,
        scale=100 * moves.scale,
        shear=moves.shear,
        seed=train.seed,
        epochs=train.epochs,
        batch_size=train.batch_size,
        weight_decay=train.weight_decay,
        learning_rate=train.max_learning_rate,
        torch=version("torch"),
    )


def main() -> None:
    chosen = parameters.read(PARAMETERS)
    metrics: dict[str, Any] = json.loads(METRICS.read_bytes())
    md5 = hashlib.md5(MODEL.read_bytes(), usedforsecurity=False).hexdigest()

    files.write(CARD, card(chosen, metrics, md5).encode())


if __name__ == "__main__":
    run_stage(main)
