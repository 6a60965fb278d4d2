"""Many seeds of each recipe, trained as Ray tasks: how good a recipe is, and how sure that is."""

import os

import stages  # noqa: F401  # pyright: ignore[reportUnusedImport]  sets the numeric environment before anything imports torch

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report home
