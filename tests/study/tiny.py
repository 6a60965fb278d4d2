"""A recipe that trains in a second on drawn digits."""

from digits.core import config
from digits.core.config import Config
from tests import drawn
from tests.project import ROOT

TRAIN, SCORED = drawn.split(200), drawn.split(50, seed=1)


def changed(recipe: Config, section: str, **values: object) -> Config:
    """The recipe with other values in one section."""
    part = getattr(recipe, section).model_copy(update=values)
    return recipe.model_copy(update={section: part})


RECIPE = changed(
    changed(
        config.read(ROOT / "recipes/described.yaml"),
        "model", blocks=[4, "pool", 4], hidden=None,
    ),
    "train", epochs=3, batch_size=20,
)  # fmt: skip
