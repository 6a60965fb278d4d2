"""The page to draw on, in a real browser.

By default it has a network that learns tests/browser/strokes.py in seconds; with PIPELINE=1, what
`make repro` made of MNIST, started by `make demo`.
"""

import base64
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page

from demo import build, serve
from digits.core import split
from digits.core.errors import UserError
from digits.core.split import Split
from digits.export import onnx_file
from digits.export.mnist_form import as_mnist
from digits.network import model_file
from stages import paths
from tests.browser import strokes
from tests.browser.chromium import chromium
from tests.browser.strokes import NORMALISATION, STROKES
from tests.drawn import Pixels
from tests.project import ROOT

PIPELINE = os.environ.get("PIPELINE") == "1"
PATIENCE = 240_000  # milliseconds

missing = [name for name in ("node", "npm", "chromium") if not shutil.which(name)]
if PIPELINE and missing:
    raise RuntimeError(f"PIPELINE=1 needs {', '.join(missing)}: apt-get install npm chromium")
needs_browser = pytest.mark.skipif(
    bool(missing), reason=f"no {', '.join(missing)}: apt-get install npm chromium"
)


@dataclass
class Material:
    """The network that the page runs, and the split its examples are from."""

    probabilities: torch.Tensor
    test: Split
    onnx: Path
    split: Path


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    if PIPELINE:
        network, normalisation = model_file.load(ROOT / paths.MODEL)
        onnx, test = ROOT / paths.ONNX, ROOT / paths.TEST
    else:
        network, normalisation = strokes.trained_network(), NORMALISATION
        folder = tmp_path_factory.mktemp("material")
        onnx, test = folder / "model.onnx", folder / "test.safetensors"
        onnx.write_bytes(onnx_file.encode(onnx_file.operations_of(network), normalisation))
        split.save(test, strokes.split(200, seed=1))
    images = split.load(test)
    logits = model_file.classify(network, images.images, normalisation)
    return Material(logits.softmax(1), images, onnx, test)


@pytest.fixture(scope="module")
def address(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page, served until Ctrl-C."""
    if PIPELINE:
        command = ["make", "demo"]
    else:
        site = tmp_path_factory.mktemp("demo") / "site"
        build.build(material.onnx, material.split, site)
        command = [sys.executable, "-m", "demo.serve", "--port", "0", "--site", str(site)]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell's background job ignores Ctrl-C, and so would all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    yield re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())[0]
    os.killpg(server.pid, signal.SIGINT)
    if not PIPELINE:  # make has its own exit code
        assert server.wait(120) == 0
    server.communicate(timeout=120)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def page(browser: Browser, address: str, options: dict[str, Any]) -> Iterator[Page]:
    """The page, ready; it must print nothing on its console and ask no other server."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith(address) or problems.append(sent.url))
    page.goto(address)
    settle(page)
    yield page
    context.close()
    assert not problems


def settle(page: Page) -> str:
    """Wait until the network has read the pad; returns the sentence about it."""
    page.wait_for_selector("#result[aria-busy=false]")
    return page.get_by_role("status").inner_text()


def places(page: Page, stroke: strokes.Points) -> list[tuple[float, float]]:
    """Where a stroke lies on the screen."""
    page.locator("#pad").scroll_into_view_if_needed()
    pad = page.locator("#pad").bounding_box()
    return [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in stroke]


def draw(page: Page, digit: int) -> str:
    """Draw with the mouse; returns the sentence about it."""
    for stroke in STROKES[digit]:
        first, *others = places(page, stroke)
        page.mouse.move(*first)
        page.mouse.down()
        for place in others:
            page.mouse.move(*place)
        page.mouse.up()
    return settle(page)


def pixels(page: Page, canvas: str, channel: int) -> Pixels:
    """One channel of a canvas."""
    width, height, values = page.evaluate(
        """([name, channel]) => {
            const shown = document.querySelector(name), {width, height} = shown;
            const copy = new OffscreenCanvas(width, height);
            const context = copy.getContext("2d", {willReadFrequently: true});
            context.drawImage(shown, 0, 0);
            const {data} = context.getImageData(0, 0, width, height);
            let values = "";
            for (let k = channel; k < data.length; k += 4) values += String.fromCharCode(data[k]);
            return [width, height, btoa(values)];
        }""",
        [canvas, channel],
    )
    return np.frombuffer(base64.b64decode(values), np.uint8).reshape(height, width)


def packed(images: Pixels) -> str:
    return base64.b64encode(np.ascontiguousarray(images).tobytes()).decode()


@needs_browser
def test_digits_drawn_with_the_mouse_are_read(page: Page) -> None:
    invitation = settle(page)
    assert not pixels(page, "#seen", 0).any()
    undo, clear = (page.get_by_role("button", name=name) for name in ("Undo", "Clear"))
    for digit in (3, 7, 0):
        assert undo.is_disabled() == (digit == 3)
        assert clear.is_disabled()
        assert draw(page, digit).startswith(f"This looks like a {digit} (")
        assert page.locator("#digit").inner_text() == str(digit)
        shares = page.locator("#bars li").all_inner_texts()
        assert [share[0] for share in shares] == list("0123456789")
        assert page.locator(".likeliest b").inner_text() == str(digit)
        assert page.locator(".likeliest .fill").bounding_box()["width"] > 30
        ink = np.pad(pixels(page, "#pad", 3), 1)
        assert np.array_equal(pixels(page, "#seen", 0), as_mnist(Image.fromarray(ink)))
        clear.click()
        assert settle(page) == invitation
        assert not pixels(page, "#pad", 3).any()
    undo.click()
    assert settle(page).startswith("This looks like a 0 (")
    undo.click()
    assert settle(page) == invitation


@needs_browser
def test_images_of_the_test_split_are_read_as_torch_reads_them(
    page: Page, material: Material
) -> None:
    values = page.evaluate(
        """async (packed) => {
            const {load} = await import("./reader.js");
            const images = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
            return Array.from(await (await load("model.onnx")).read(images));
        }""",
        packed(material.test.images[:200].numpy()),
    )
    probabilities, expected = torch.tensor(values).reshape(200, 10), material.probabilities[:200]
    assert torch.equal(probabilities.argmax(1), expected.argmax(1))
    assert (probabilities - expected).abs().max() < 1e-4


def drawings() -> list[Pixels]:
    """Digits of many sizes, and shapes where rounding is a close call."""
    rng = np.random.default_rng(0)
    digits = [strokes.draw(k % 10, rng, size=int(rng.integers(30, 200))) for k in range(80)]
    shapes = []
    for height, width in [(1, 1), (1, 60), (60, 1), (20, 20), (20, 9), (21, 30), (90, 44), (7, 5)]:
        for level in (255, 90, 17):
            shape = np.pad(np.full((height, width), level, np.uint8), ((3, 6), (7, 5)))
            shapes += [shape, np.triu(shape), shape[3 : 3 + height, 7 : 7 + width]]
    faint = [np.full((9, 9), level, np.uint8) for level in (0, 15)]
    noise = [rng.integers(0, 256, (40, 50), np.uint8) for _ in range(20)]
    return [*digits, *strokes.split(20, seed=3).images.numpy(), *shapes, *faint, *noise]


def expected_form(drawing: Pixels) -> list[int] | None:
    try:
        return as_mnist(Image.fromarray(np.pad(drawing, 1))).flatten().tolist()
    except UserError:
        return None


@needs_browser
def test_a_drawing_takes_mnists_form_as_in_python_to_the_byte(page: Page) -> None:
    drawn = drawings()
    forms = page.evaluate(
        """async (drawn) => {
            const {asMnist} = await import("./handwriting.js");
            return drawn.map(([packed, width, height]) => {
                const levels = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
                const form = asMnist(levels, width, height);
                return form && Array.from(form);
            });
        }""",
        [[packed(drawing), *drawing.shape[::-1]] for drawing in drawn],
    )
    assert forms == [expected_form(drawing) for drawing in drawn]


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.ariaLabel || document.activeElement.id")


@needs_browser
def test_it_works_by_keyboard(page: Page, material: Material) -> None:
    def press(key: str) -> str:
        page.keyboard.press(key)
        return settle(page)

    invitation = settle(page)
    press("Tab")
    assert focused(page) == "A 0, the first of each in the test set"
    ring = "getComputedStyle(document.activeElement.parentElement).outlineStyle"
    assert page.evaluate(ring) == "solid"
    first = press("Space")
    place = int((material.test.labels == 0).nonzero()[0])
    assert np.array_equal(pixels(page, "#seen", 0), material.test.images[place].numpy())
    assert first.endswith(("So says its label.", "Its label says 0."))
    assert press("ArrowRight") != first
    assert focused(page).startswith("A 1")
    assert press("Control+z") == first
    assert press("Escape") == invitation
    assert page.get_by_role("radio", checked=True).count() == 0
    for _ in range(20):  # the browser decides how radio buttons follow each other
        press("Shift+Tab")
        if focused(page) == "undo":
            break
    assert press("Enter") == first
    press("Tab")
    assert focused(page) == "clear"
    assert press("Enter") == invitation


@needs_browser
def test_a_stroke_replaces_an_example(page: Page) -> None:
    example = page.get_by_role("radio", name="A 4, the first")
    example.check()
    settle(page)
    assert draw(page, 7).startswith("This looks like a 7 (")
    assert page.get_by_role("radio", checked=True).count() == 0
    page.keyboard.press("Control+z")
    settle(page)
    assert example.is_checked()


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    touching = [{"x": x, "y": y} for x, y in points]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touching})


@needs_browser
@pytest.mark.parametrize(
    "options", [{"viewport": {"width": 360, "height": 640}, "has_touch": True}]
)
def test_a_finger_draws_and_does_not_scroll(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    (corners,) = STROKES[7]
    path = places(page, corners)
    touch(session, "touchStart", path[0])
    for (x, y), (to_x, to_y) in itertools.pairwise(path):
        for share in (0.25, 0.5, 0.75, 1):
            touch(session, "touchMove", (x + share * (to_x - x), y + share * (to_y - y)))
    touch(session, "touchEnd")
    assert settle(page).startswith("This looks like a 7 (")
    assert page.evaluate("scrollY") == 0


def luminance(colour: str) -> float:
    levels = [int(level) / 255 for level in re.findall(r"\d+", colour)[:3]]
    linear = [((each + 0.055) / 1.055) ** 2.4 if each > 0.04 else each / 12.92 for each in levels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@needs_browser
@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": width, "height": 740}, "color_scheme": colours}
        for width, colours in [(320, "dark"), (360, "light"), (736, "light"), (1280, "dark")]
    ],
    ids=lambda options: f"{options['viewport']['width']}-{options['color_scheme']}",
)
def test_it_fits_and_is_legible(page: Page, options: dict[str, Any]) -> None:
    page.get_by_role("radio").first.check()
    settle(page)
    scroll, width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= width
    page_colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(page_colour) < 0.1) == (options["color_scheme"] == "dark")
    paper, edge = page.locator(".paper").evaluate(
        "(each) => [getComputedStyle(each).backgroundColor, getComputedStyle(each).boxShadow]"
    )
    assert min(contrast(edge, page_colour), contrast(edge, paper)) >= 3
    texts = "h1|header p|#sentence|#digit|#bars li|figcaption|legend|footer p"
    for name in texts.split("|"):
        colour = page.locator(name).first.evaluate("(each) => getComputedStyle(each).color")
        assert contrast(colour, page_colour) >= 4.5, name
    overflow = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth).length"
    assert page.locator(".verdict, #bars, #bars li, figure").evaluate_all(overflow) == 0
    for name in ("#pad", "#undo", "#clear", "#seen"):
        box = page.locator(name).bounding_box()
        assert 0 <= box["x"] <= width - box["width"], name


@needs_browser
def test_the_page_may_ask_no_other_server(browser: Browser, address: str) -> None:
    page, messages = browser.new_page(), []
    page.goto(address)
    page.on("console", lambda message: messages.append(message.text))
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate("(address) => fetch(address)", address.replace("127.0.0.1", "localhost"))
    assert any("Content Security Policy" in message for message in messages)
    page.close()


@needs_browser
def test_a_network_that_cannot_be_loaded_is_a_sentence(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.route("**/model.onnx", lambda route: route.fulfill(body=b"no model"))
    page.goto(address)
    page.get_by_text("The network cannot be run:").wait_for(timeout=PATIENCE)
    assert settle(page).startswith("The network cannot be run:"), "it is announced"
    assert draw(page, 7).startswith("The network cannot be run:")
    page.close()


def test_a_taken_port_is_not_taken_twice(tmp_path: Path) -> None:
    with serve.server(tmp_path, 0) as one, serve.server(tmp_path, one.server_port) as other:
        assert other.server_port != one.server_port


def test_without_a_model_it_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model.onnx: no such file; `make repro` makes it"):
        build.build(tmp_path / "model.onnx", tmp_path / "test.safetensors", tmp_path / "site")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("programs", "problem"),
    [
        ({}, "node: not found; .* apt-get install npm"),
        ({"node": "", "npm": "echo refused >&2; exit 1"}, r"npm ci failed in demo/:\nrefused$"),
    ],
)
def test_a_failed_installation_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str], problem: str
) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(build, "PAGE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=problem):
        build.install()


def test_the_examples_are_the_first_and_the_hardest_of_each_digit() -> None:
    labels = np.array([1, 0, 1, 1], np.uint8)
    images = np.stack([np.full((28, 28), level, np.uint8) for level in (10, 20, 30, 40)])
    probabilities = np.full((4, 10), 0.01, np.float32)
    probabilities[[0, 1, 2, 3], [1, 0, 1, 1]] = [0.9, 0.5, 0.1, 0.4]
    rows = build.examples(images, labels, probabilities)
    levels = [[base64.b64decode(each["pixels"])[0] for each in row["digits"]] for row in rows]
    assert levels == [[20, 10], [20, 30]]
    assert [[each["label"] for each in row["digits"]] for row in rows] == [[0, 1], [0, 1]]


def test_npms_lock_hashes_everything_and_names_no_server() -> None:
    asked = json.loads((ROOT / "demo/package.json").read_text())["dependencies"]
    locked = json.loads((ROOT / "demo/package-lock.json").read_text())["packages"]
    for name, package in locked.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name
    for name, version in asked.items():
        assert locked[f"node_modules/{name}"]["version"] == version
