"""The page that one draws on, in a real browser.

By itself it is tested with a network that learns the strokes of tests/strokes.py in a few
seconds; with PIPELINE=1 with what `make repro` made of MNIST, started by `make demo`.
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

from demo import build
from stages.lib import model, runtime, splits
from stages.lib.errors import UserError
from stages.lib.handwriting import as_mnist
from stages.lib.splits import Split
from tests import strokes
from tests.browser import chromium
from tests.digits import Pixels
from tests.project import ROOT
from tests.strokes import STROKES

PIPELINE = os.environ.get("PIPELINE") == "1"
PATIENCE = 120_000  # milliseconds, for a machine that does something else as well

missing = [name for name in ("node", "npm", "chromium") if not shutil.which(name)]
if PIPELINE and missing:
    raise RuntimeError(f"PIPELINE=1 needs {', '.join(missing)}: apt-get install npm chromium")
needs_browser = pytest.mark.skipif(
    bool(missing), reason=f"no {', '.join(missing)}: apt-get install npm chromium"
)


@dataclass
class Material:
    """The network that the page runs, as torch has it, and the split its examples are from."""

    logits: torch.Tensor
    test: Split
    onnx: Path
    split: Path


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """What the pipeline made, or a network that has just learnt."""
    if PIPELINE:
        onnx, split = ROOT / build.MODEL, ROOT / build.TEST
        network, normalisation = model.load(ROOT / "models/model.safetensors")
        test = splits.load(split)
    else:
        folder = tmp_path_factory.mktemp("material")
        onnx, split = folder / "model.onnx", folder / "test.safetensors"
        network, content = strokes.taught()
        onnx.write_bytes(content)
        splits.save(split, strokes.split(200, seed=1))
        test, normalisation = splits.load(split), strokes.NORMALISATION
    return Material(model.predict(network, test.images, normalisation), test, onnx, split)


@pytest.fixture(scope="module")
def address(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page, served until Ctrl-C."""
    if PIPELINE:
        command = ["make", "demo"]
    else:
        site = tmp_path_factory.mktemp("demo") / "site"
        build.build(material.onnx, material.split, site)
        command = [sys.executable, "-m", "demo.serve", "--port", "0", "--site", str(site)]
    running = start(command)
    yield re.search(r"http://127\.0\.0\.1:\d+/", running.stdout.readline())[0]
    os.killpg(running.pid, signal.SIGINT)
    if not PIPELINE:  # make has its own exit code
        assert running.wait(60) == 0
    running.communicate(timeout=60)


def start(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell's background job ignores Ctrl-C, and so would all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def page(browser: Browser, address: str, options: dict[str, Any]) -> Iterator[Page]:
    """The page, ready; in the end nothing was said on its console or asked of another server."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith(address) or wrong.append(sent.url))
    page.goto(address)
    settle(page)
    yield page
    context.close()
    assert not wrong


def settle(page: Page) -> str:
    """Wait until the network has read what is there; what the page then says."""
    page.wait_for_selector("#result[aria-busy=false]")
    return page.get_by_role("status").inner_text()


def draw(page: Page, digit: int) -> None:
    """Press, move and let go of the mouse."""
    page.locator("#pad").scroll_into_view_if_needed()
    pad = page.locator("#pad").bounding_box()
    for stroke in STROKES[digit]:
        places = [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()


def pixels(page: Page, canvas: str, channel: int) -> Pixels:
    """One channel of a canvas."""
    width, height, values = page.evaluate(
        """([name, channel]) => {
            const shown = document.querySelector(name), {width, height} = shown;
            const copy = new OffscreenCanvas(width, height);
            const context = copy.getContext("2d", {willReadFrequently: true});
            context.drawImage(shown, 0, 0);
            const {data} = context.getImageData(0, 0, width, height);
            let chosen = "";
            for (let k = channel; k < data.length; k += 4) chosen += String.fromCharCode(data[k]);
            return [width, height, btoa(chosen)];
        }""",
        [canvas, channel],
    )
    return np.frombuffer(base64.b64decode(values), np.uint8).reshape(height, width)


def packed(images: Pixels) -> str:
    return base64.b64encode(np.ascontiguousarray(images).tobytes()).decode()


@needs_browser
def test_digits_drawn_with_the_mouse_are_read(page: Page, material: Material) -> None:
    invitation = settle(page)
    assert not pixels(page, "#seen", 0).any()
    undo, clear = (page.get_by_role("button", name=name) for name in ("Undo", "Clear"))
    for digit in (3, 7, 0):
        assert undo.is_disabled() == (digit == 3)
        assert clear.is_disabled()
        draw(page, digit)
        assert settle(page).startswith(f"This looks like a {digit} (")
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


def test_the_exported_file_gives_torchs_logits_for_every_test_image(material: Material) -> None:
    logits, _ = runtime.load(material.onnx)(material.test.images.numpy())
    assert np.abs(logits - material.logits.numpy()).max() < 1e-4


@needs_browser
def test_images_of_the_test_split_are_read_as_torch_reads_them(
    page: Page, material: Material
) -> None:
    found = page.evaluate(
        """async (packed) => {
            const {load} = await import("./reader.js");
            const images = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
            return Array.from(await (await load("model.onnx")).read(images));
        }""",
        packed(material.test.images[:200].numpy()),
    )
    probabilities = torch.tensor(found).reshape(200, 10)
    expected = material.logits[:200].softmax(1)
    assert torch.equal(probabilities.argmax(1), expected.argmax(1))
    assert (probabilities - expected).abs().max() < 1e-4


def drawings() -> list[Pixels]:
    """Drawn digits of many sizes, and shapes where rounding is a close call."""
    random = np.random.default_rng(0)
    digits = [
        strokes.draw(place % 10, random, size=int(random.integers(30, 200))) for place in range(80)
    ]
    small = [*strokes.split(20, seed=3).images.numpy()]
    shapes = []
    for height, width in [(1, 1), (1, 60), (60, 1), (20, 20), (20, 9), (21, 30), (90, 44), (7, 5)]:
        for strength in (255, 90, 17):
            shape = np.zeros((height + 9, width + 12), np.uint8)
            shape[3 : 3 + height, 7 : 7 + width] = strength
            shapes += [shape, np.triu(shape), shape[3 : 3 + height, 7 : 7 + width]]
    faint = [np.full((9, 9), level, np.uint8) for level in (0, 15)]
    noise = [random.integers(0, 256, (40, 50), np.uint8) for _ in range(20)]
    return [*digits, *small, *shapes, *faint, *noise]


def expected(drawing: Pixels) -> Pixels | None:
    try:
        return as_mnist(Image.fromarray(np.pad(drawing, 1)))
    except UserError:
        return None


@needs_browser
def test_a_drawing_takes_mnists_form_as_in_python_to_the_byte(page: Page) -> None:
    drawn = drawings()
    found = page.evaluate(
        """async (drawn) => {
            const {asMnist} = await import("./handwriting.js");
            return drawn.map(([packed, width, height]) => {
                const levels = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
                const seen = asMnist(levels, width, height);
                return seen && Array.from(seen);
            });
        }""",
        [[packed(drawing), *drawing.shape[::-1]] for drawing in drawn],
    )
    for drawing, seen in zip(drawn, found, strict=True):
        wanted = expected(drawing)
        assert (wanted is None) == (seen is None)
        if wanted is not None:
            assert np.array_equal(np.array(seen).reshape(28, 28), wanted)


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.ariaLabel || document.activeElement.id")


@needs_browser
def test_it_works_by_keyboard(page: Page, material: Material) -> None:
    invitation = settle(page)
    page.keyboard.press("Tab")
    assert focused(page) == "A 0, the first of each in the test set"
    ring = "getComputedStyle(document.activeElement.parentElement).outlineStyle"
    assert page.evaluate(ring) == "solid"
    page.keyboard.press("Space")
    first = settle(page)
    shown = pixels(page, "#seen", 0)
    place = int((material.test.labels == 0).nonzero()[0])
    assert np.array_equal(shown, material.test.images[place].numpy())
    assert first.endswith(("So says its label.", "Its label says 0."))
    page.keyboard.press("ArrowRight")
    second = settle(page)
    assert focused(page).startswith("A 1")
    assert second != first
    page.keyboard.press("Control+z")
    assert settle(page) == first
    page.keyboard.press("Escape")
    assert settle(page) == invitation
    assert page.get_by_role("radio", checked=True).count() == 0
    for _ in range(20):  # how radio buttons follow each other is the browser's matter
        page.keyboard.press("Shift+Tab")
        if focused(page) == "undo":
            break
    assert focused(page) == "undo"
    page.keyboard.press("Enter")
    assert settle(page) == first
    page.keyboard.press("Tab")
    assert focused(page) == "clear"
    page.keyboard.press("Enter")
    assert settle(page) == invitation


@needs_browser
def test_a_stroke_takes_an_examples_place(page: Page) -> None:
    page.get_by_role("radio", name="A 4, the first").check()
    settle(page)
    draw(page, 7)
    assert settle(page).startswith("This looks like a 7 (")
    assert page.get_by_role("radio", checked=True).count() == 0
    page.keyboard.press("Control+z")
    settle(page)
    assert page.get_by_role("radio", name="A 4, the first").is_checked()


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    touching = [{"x": x, "y": y} for x, y in points]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touching})


@needs_browser
@pytest.mark.parametrize(
    "options", [{"viewport": {"width": 360, "height": 640}, "has_touch": True}]
)
def test_a_finger_draws_and_does_not_scroll(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    pad = page.locator("#pad").bounding_box()
    (corners,) = STROKES[7]
    path = [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in corners]
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
        for width, colours in [
            (320, "dark"),
            (360, "light"),
            (360, "dark"),
            (736, "light"),
            (1280, "dark"),
        ]
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
    texts = [
        "h1",
        "header p",
        "#sentence",
        "#digit",
        "#bars li",
        "figcaption",
        "legend",
        "footer p",
    ]
    for name in texts:
        colour = page.locator(name).first.evaluate("(each) => getComputedStyle(each).color")
        assert contrast(colour, page_colour) >= 4.5, name
    overflow = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth).length"
    assert page.locator(".verdict, #bars, #bars li, figure").evaluate_all(overflow) == 0
    for name in ("#pad", "#undo", "#clear", "#seen"):
        box = page.locator(name).bounding_box()
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= width, name


@needs_browser
def test_the_page_may_ask_no_other_server(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    other = address.replace("127.0.0.1", "localhost")
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate("(address) => fetch(address)", other)
    assert any("Content Security Policy" in each for each in refused)
    page.close()


@needs_browser
def test_a_network_that_cannot_be_loaded_is_a_sentence(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.route("**/model.onnx", lambda route: route.fulfill(body=b"no model"))
    page.goto(address)
    page.get_by_text("The network cannot be run:").wait_for(timeout=PATIENCE)
    not_busy = page.locator("#result[aria-busy=false]").get_by_role("status")
    assert not_busy.inner_text().startswith("The network cannot be run:"), "it is announced"
    draw(page, 7)
    assert not_busy.inner_text().startswith("The network cannot be run:")
    page.close()


@needs_browser
def test_a_taken_port_is_not_taken_twice(address: str, material: Material, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("page")
    port = re.search(r":(\d+)/", address)[1]
    running = start([sys.executable, "-m", "demo.serve", "--port", port, "--site", str(tmp_path)])
    try:
        said = running.stdout.readline()
        assert re.search(r"http://127\.0\.0\.1:\d+/", said)[0] != address
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 0


def test_with_the_pipelines_network_a_missing_tool_is_an_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import tests.test_demo"],
        cwd=ROOT,
        env={"PIPELINE": "1", "PATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode != 0
    assert "PIPELINE=1 needs node, npm, chromium: apt-get install" in done.stderr


def test_without_a_model_it_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model.onnx: no such file; `make repro` makes it"):
        build.build(tmp_path / "model.onnx", tmp_path / "test.safetensors", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_without_npm_it_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr(build, "PAGE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="node: not found; .* apt-get install npm"):
        build.install()


@pytest.mark.skipif(not shutil.which("npm"), reason="no npm: apt-get install npm")
def test_what_npm_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr(build, "PAGE", tmp_path)
    with pytest.raises(UserError, match=r"npm ci failed in demo/:\n.*npm"):
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


def test_the_lock_of_npm_hashes_everything_and_names_no_server() -> None:
    asked = json.loads((ROOT / "demo/package.json").read_text())["dependencies"]
    locked = json.loads((ROOT / "demo/package-lock.json").read_text())["packages"]
    for name, package in locked.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name
    for name, version in asked.items():
        assert locked[f"node_modules/{name}"]["version"] == version
