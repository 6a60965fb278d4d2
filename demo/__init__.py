"""A page on which you draw a digit and watch the network read it, in the browser."""

from pathlib import Path

PAGE = Path(__file__).parent
SITE = PAGE / "site"
