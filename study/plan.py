"""The schema of study/params.yaml, and the recipes that it asks for."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from stages.lib import parameters, sections
from stages.lib.errors import UserError
from stages.lib.parameters import Parameters
from stages.lib.sections import Section

PATH = Path("study/params.yaml")


class Screen(Section):
    """What to try, and on how many seeds and held-out images."""

    seeds: int = Field(ge=2, le=10_000)
    validation_size: int = Field(ge=1, le=50_000)
    changes: dict[str, list[dict[str, object]]]


class Plan(Section):
    """The whole of study/params.yaml."""

    seeds: int = Field(ge=2, le=10_000)
    screen: Screen


def read(path: Path = PATH) -> Plan:
    """Read and check study/params.yaml, or another file like it.

    Raises:
        UserError: as `sections.read_as`.
    """
    return sections.read_as(Plan, path)


def variants(screen: Screen) -> dict[str, Parameters]:
    """Every recipe that is to be screened and each of its variants, by a name that says it all.

    Raises:
        UserError: a key that no recipe has, or a value that the schema of recipes refuses.
    """
    held_out = {"preprocess.validation_size": screen.validation_size}
    found: dict[str, Parameters] = {}
    for name, changes in screen.changes.items():
        recipe = parameters.read(Path(f"recipes/{name}.yaml"))
        for change in ({}, *changes):
            said = label(name, change)
            found[said] = changed(recipe, said, change | held_out)
    return found


def label(recipe: str, change: Mapping[str, object]) -> str:
    """What a recipe with this change is called in tables; without one, its own name."""
    said = ", ".join(f"{key}={json.dumps(value)}" for key, value in change.items())
    return f"{recipe}: {said}" if said else recipe


def changed(recipe: Parameters, said: str, change: Mapping[str, object]) -> Parameters:
    """The recipe with other values for some `section.key`."""
    content = recipe.model_dump()
    for name, value in change.items():
        section, _, key = name.partition(".")
        if key not in content.get(section, {}):
            raise UserError(f"{PATH}: {said}: {name}: no such key in a recipe")
        content[section][key] = value
    return sections.check(Parameters, content, f"{PATH}: {said}")
