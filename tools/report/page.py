"""Vega, and the frame of every page of plots: .dvc/plots/page.html, which DVC fills in too."""

import json
import sys
from pathlib import Path

import vl_convert

from digits.core import files
from tools.report.results import Spec

FRAME = Path(".dvc/plots/page.html")
VEGA = Path(sys.prefix) / "vega.js"  # in .venv
VEGA_TAG = '<script src="vega.js"></script>'  # beside the pages that dvc writes
VEGA_LITE = "6.4"  # the version in vl-convert that matches its Vega


def vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script; made once, which takes seconds."""
    if not VEGA.is_file():
        script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)
        files.write(VEGA, script.encode())
    return VEGA.read_text()


def frame() -> str:
    """The frame with Vega inside, so that the page needs neither a network nor .venv."""
    return FRAME.read_text().replace(VEGA_TAG, f"<script>{vega()}</script>")


def page(body: str) -> str:
    """A whole page from its body."""
    unused = frame().replace("{scripts}", "").replace("{refresh_tag}", "")
    return unused.replace("{plot_divs}", body)


def svg(spec: Spec) -> str:
    """A plot as SVG in the light colours of the frame."""
    themes = FRAME.read_text().partition('id="themes">')[2].partition("</script>")[0]
    config = json.loads(themes)["light"]
    return vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, config=config)
