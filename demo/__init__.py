"""A page on which you draw a digit, or show a picture, and watch the network read it."""

from pathlib import Path

PAGE = Path(__file__).parent
SITE = PAGE / "site"
