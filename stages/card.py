"""Describe the trained model in a model card, in the format of the Hugging Face Hub.

Reads all of params.yaml, models/model.safetensors (its md5), metrics/evaluate.json and, if
params.yaml matches a file of recipes/ except for the seed, that recipe's summary in
metrics/study.json. Writes models/README.md from stages/card.md.jinja; every figure in it comes
from these files. Format: https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from digits.core import config, files
from digits.core.config import Config
from digits.core.entry_point import run_stage
from digits.sources import catalog
from stages import paths


def matching_recipe(parameters: Config) -> str | None:
    """The name of the recipe that has these values, whatever its seed, if there is one."""
    values = parameters.model_dump(exclude={"train": {"seed"}})
    for path in sorted(paths.RECIPES.glob("*.yaml")):
        if config.read(path).model_dump(exclude={"train": {"seed"}}) == values:
            return path.stem
    return None


def percent(share: float, digits: int = 2) -> str:
    """A share of 1 in percent, without the sign."""
    return f"{100 * share:.{digits}f}"


def card(parameters: Config, metrics: dict[str, Any], md5: str) -> str:
    """The whole card of the model with this md5."""
    recipe = matching_recipe(parameters)
    studies: dict[str, Any] = files.read_json(paths.STUDY) if paths.STUDY.is_file() else {}
    environment = Environment(  # noqa: S701  the card is Markdown, not HTML
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md.jinja").render(
        config=parameters,
        metrics=metrics,
        md5=md5,
        dataset=catalog.find(metrics["dataset"]),
        recipe=recipe,
        study=studies.get(recipe or ""),
        torch=version("torch"),
        percent=percent,
        images="(N, {0}, {0}{1})".format(
            metrics["image_size"], ", 3" if metrics["channels"] == 3 else ""
        ),
    )


def main() -> None:
    parameters = config.read(paths.PARAMETERS)
    metrics: dict[str, Any] = files.read_metrics(paths.TEST_METRICS)
    md5 = hashlib.md5(paths.MODEL.read_bytes(), usedforsecurity=False).hexdigest()

    files.write(paths.CARD, card(parameters, metrics, md5).encode())


if __name__ == "__main__":
    run_stage(main)
