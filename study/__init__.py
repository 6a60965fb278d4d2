"""Many seeds of each recipe, trained as Ray tasks: how good a recipe is, and how sure that is."""

import os

import digits  # noqa: F401  # pyright: ignore[reportUnusedImport]  pins instruction sets before torch is imported

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report home
