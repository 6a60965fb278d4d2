"""The page to draw on, served, with a network, in a browser.

By default the network is one that learns tests/browser/strokes.py in seconds; with PIPELINE=1, what
`make repro` made of MNIST, and `make demo` serves it.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page

from demo import build
from digits.core import split
from digits.core.split import Normalisation, Split
from digits.network import model_file
from digits.network.digitnet import DigitNet
from stages import paths
from tests.browser import strokes
from tests.browser.chromium import CHROMIUM, chromium
from tests.project import ROOT

PIPELINE = os.environ.get("PIPELINE") == "1"
PATIENCE = 240_000  # milliseconds

if PIPELINE and not CHROMIUM:
    raise RuntimeError("PIPELINE=1 needs chromium: apt-get install chromium")


@dataclass
class Material:
    """The network that the page runs, and the split that its examples are from."""

    network: DigitNet
    normalisation: Normalisation
    test: Split
    model_path: Path
    test_path: Path


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    if PIPELINE:
        model_path, test_path = ROOT / paths.MODEL, ROOT / paths.TEST
    else:
        folder = tmp_path_factory.mktemp("material")
        model_path, test_path = folder / "model.safetensors", folder / "test.safetensors"
        torch.set_num_threads(1)
        model_file.save(model_path, strokes.trained_network(), strokes.NORMALISATION)
        split.save(test_path, strokes.split(200, seed=1))
    return Material(*model_file.load(model_path), split.load(test_path), model_path, test_path)


@pytest.fixture(scope="session")
def site(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as files."""
    if PIPELINE:
        subprocess.run(["make", "demo/site/index.html"], cwd=ROOT, check=True)
        return ROOT / "demo/site"
    site = tmp_path_factory.mktemp("demo") / "site"
    build.build(material.model_path, material.test_path, site)
    return site


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The page, served until Ctrl-C."""
    with served(site, ["make", "demo"] if PIPELINE else None) as address:
        yield address


@contextmanager
def served(site: Path, command: list[str] | None = None) -> Iterator[str]:
    """The address of a site, until Ctrl-C."""
    own = [sys.executable, "-m", "demo.serve", "--port", "0", "--site", str(site)]
    server = subprocess.Popen(
        command or own,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell's background job ignores Ctrl-C, and so would all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())[0]
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.communicate(timeout=120)
    if not command:  # make has its own exit code
        assert server.returncode == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no chromium: apt-get install chromium")
    with chromium() as browser:
        yield browser


@pytest.fixture
def options() -> dict[str, Any]:
    """Of the browser's context: a test's parameters replace them."""
    return {}


@pytest.fixture
def page(browser: Browser, address: str, options: dict[str, Any]) -> Iterator[Page]:
    """The page, ready."""
    with opened(browser, address, options) as page:
        yield page


@contextmanager
def opened(browser: Browser, address: str, options: dict[str, Any]) -> Iterator[Page]:
    """A page, ready; it must print nothing on its console and ask no other server."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith(address) or problems.append(sent.url))
    try:
        page.goto(address)
        settle(page)
        yield page
    finally:
        context.close()
    assert not problems


def settle(page: Page) -> str:
    """Wait until the network has read the pad; returns the sentence about it."""
    page.wait_for_selector("#result[aria-busy=false]")
    return page.get_by_role("status").inner_text()
