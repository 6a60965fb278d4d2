"""The schema of study/params.yaml, and the variants of recipes that it lists."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from digits.core import config, strict_yaml
from digits.core.config import Config
from digits.core.errors import UserError
from digits.core.strict_yaml import Section
from digits.network.digitnet import check_budget
from digits.sources import catalog, download, mirrors

PATH = Path("study/params.yaml")


class Screen(Section):
    """What to try, and on how many seeds and held-out images."""

    seeds: int = Field(ge=2, le=10_000)
    validation_size: int = Field(ge=1, le=50_000)
    changes: dict[str, list[dict[str, object]]]


class Search(Section):
    """Candidates for a recipe, and how often the better half of them goes on."""

    base: str
    rounds: int = Field(ge=1, le=10)
    validation_size: int = Field(ge=1, le=50_000)
    candidates: list[dict[str, object]] = Field(min_length=1)


class Plan(Section):
    """The whole of study/params.yaml."""

    seeds: int = Field(ge=2, le=10_000)
    screen: Screen
    search: dict[str, Search] = Field(default_factory=dict[str, Search])


def read(path: Path = PATH) -> Plan:
    """Read and check study/params.yaml, or another file like it.

    Raises:
        UserError: as `strict_yaml.read`.
    """
    return strict_yaml.read(Plan, path)


def published(root: Path = Path()) -> dict[str, Config]:
    """The recipes for published data, by name: those that a study trains if none is named."""
    recipes = {path.stem: config.read(path) for path in sorted(root.glob("recipes/*.yaml"))}
    return {k: each for k, each in recipes.items() if each.download.source != catalog.FOLDER}


def variants(screen: Screen) -> dict[str, Config]:
    """Every recipe to screen and each of its variants, under the names that tables use.

    Raises:
        UserError: a key that no recipe has, or a value that is not allowed in a recipe.
    """
    recipes: dict[str, Config] = {}
    for name, changes in screen.changes.items():
        recipes |= _variants(name, [{}, *changes], screen.validation_size)
    return recipes


def candidates(search: Search) -> dict[str, Config]:
    """Every candidate of a search, named as a variant of its base.

    Raises:
        UserError: as `variants`.
    """
    return _variants(search.base, search.candidates, search.validation_size)


def check_data(raw: Path, recipes: Iterable[Config], names: Sequence[str] = catalog.NAMES) -> None:
    """Refuse files in the folder `raw` that are not of the data set that a recipe names.

    Else the rows of one data set would be replaced by those of another. The sample has no digests,
    so a recipe for it takes what is there.

    Raises:
        UserError: a file is missing, or has another sha256.
    """
    for recipe in recipes:
        source, own = recipe.download.source, recipe.download.files
        files = download.own(own) if own else download.published(catalog.find(source))
        for file in files:
            if file.name in names and not mirrors.is_right(raw / file.name, file.sha256):
                raise UserError(
                    f"{raw / file.name}: is not the file of {source!r}, the data of this study's "
                    f"recipes; set download.source to {source} in params.yaml and run `make repro`"
                )


def _variants(
    name: str, changes: Sequence[Mapping[str, object]], validation_size: int
) -> dict[str, Config]:
    recipe = config.read(Path(f"recipes/{name}.yaml"))
    held_out = {"preprocess.validation_size": validation_size}
    labels = [label(name, change) for change in changes]
    return {
        variant: changed(recipe, variant, {**change, **held_out})
        for variant, change in zip(labels, changes, strict=True)
    }


def label(recipe: str, change: Mapping[str, object]) -> str:
    """The name of a recipe with this change; without one, the recipe's own."""
    values = ", ".join(f"{key}={json.dumps(value)}" for key, value in change.items())
    return f"{recipe}: {values}" if values else recipe


def changed(recipe: Config, variant: str, change: Mapping[str, object]) -> Config:
    """The recipe with other values for some `section.key`; errors name the `variant`."""
    content = recipe.model_dump()
    for name, value in change.items():
        section, _, key = name.partition(".")
        if not hasattr(getattr(recipe, section, None), key):
            raise UserError(f"{PATH}: {variant}: {name}: no such key in a recipe")
        content[section][key] = value
    where = f"{PATH}: {variant}"
    result = strict_yaml.check(Config, content, where)
    check_budget(result.model, where)
    return result
