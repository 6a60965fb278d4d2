"""The page to draw on, in a real browser: drawing, reading, and what it needs for that."""

import base64
import functools
import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, CDPSession, Page

from demo import build
from digits.core import config
from digits.network import model_file
from digits.network.digitnet import DigitNet
from tests.browser import strokes
from tests.browser.conftest import PATIENCE, PIPELINE, Material, settle
from tests.browser.strokes import STROKES, Points
from tests.browser.traced import trace
from tests.drawn import Pixels
from tests.project import ROOT
from tests.unit import networks

SPEED = 200_000  # bytes per second, of a slow connection
BRUSHES = {"Thin": 0.7, "Medium": 1.0, "Bold": 1.4}


def places(page: Page, stroke: Points) -> Points:
    """Where a stroke lies on the screen."""
    page.locator("#pad").scroll_into_view_if_needed()
    pad = page.locator("#pad").bounding_box()
    return [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in stroke]


def draw(page: Page, drawn: list[Points]) -> str:
    """Draw with the mouse; returns the sentence about it."""
    for stroke in drawn:
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


def test_digits_drawn_with_the_mouse_are_read(page: Page) -> None:
    invitation = settle(page)
    assert not pixels(page, "#seen", 0).any()
    clear = page.get_by_role("button", name="Clear")
    for digit in (3, 7, 0):
        assert clear.is_disabled()
        assert draw(page, STROKES[digit]).startswith(f"This looks like a {digit} (")
        assert page.locator("#digit").inner_text() == str(digit)
        shares = page.locator("#bars li").all_inner_texts()
        assert [re.findall(r"\d+", share)[0] for share in shares] == list("0123456789")
        assert page.locator(".likeliest b").inner_text() == str(digit)
        assert page.locator(".likeliest .fill").bounding_box()["height"] > 10
        rows, columns = np.nonzero(pixels(page, "#seen", 0) > 127)
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
        clear.click()
        assert settle(page) == invitation
        assert not pixels(page, "#pad", 3).any()


def test_undo_ends_at_the_current_drawing_and_redo_goes_back(page: Page) -> None:
    undo, redo, clear = (
        page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo", "Clear")
    )
    invitation = settle(page)
    assert undo.is_disabled()
    three = draw(page, STROKES[3])
    clear.click()
    undo.click()
    assert settle(page) == three, "a drawing that was cleared by mistake"
    clear.click()
    draw(page, STROKES[4][:1])
    four = draw(page, STROKES[4][1:])
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert settle(page) == invitation
    assert undo.is_disabled(), "the 3 was another drawing"
    redo.click()
    page.keyboard.press("Control+Shift+z")
    assert settle(page) == four
    assert redo.is_disabled()
    undo.click()
    draw(page, STROKES[4][1:])
    assert redo.is_disabled(), "a new stroke replaces what was undone"


def test_a_brush_is_as_wide_for_the_network_as_on_the_pad(page: Page) -> None:
    shown, seen = [], []
    for name in BRUSHES:
        page.get_by_role("radio", name=name).check(force=True)
        draw(page, [[(0.2, 0.2), (0.8, 0.8)]])
        shown.append(pixels(page, "#pad", 3).sum(dtype=float))
        seen.append(pixels(page, "#seen", 0).sum(dtype=float))
        page.keyboard.press("Escape")
    for ink in (shown, seen):
        np.testing.assert_allclose(np.array(ink) / ink[1], list(BRUSHES.values()), rtol=0.1)


def test_the_eraser_takes_ink_away_and_can_be_undone(page: Page) -> None:
    page.get_by_role("radio", name="Erase").check(force=True)
    draw(page, [[(0.1, 0.5), (0.9, 0.5)]])
    assert page.get_by_role("button", name="Undo").is_disabled(), "there was nothing to erase"
    page.get_by_role("radio", name="Medium").check(force=True)
    draw(page, [[(0.5, 0.1), (0.5, 0.9)]])
    whole = pixels(page, "#pad", 3)
    page.get_by_role("radio", name="Erase").check(force=True)
    draw(page, [[(0.3, 0.5), (0.7, 0.5)]])
    left = pixels(page, "#pad", 3)
    assert not left[270:290].any()
    assert np.array_equal(left[:240], whole[:240])
    page.keyboard.press("Control+z")
    settle(page)
    assert np.array_equal(pixels(page, "#pad", 3), whole)


def test_a_drawing_survives_a_reload(page: Page) -> None:
    drawn = draw(page, STROKES[3])
    image = pixels(page, "#seen", 0)
    page.reload()
    assert settle(page) == drawn
    assert np.abs(pixels(page, "#seen", 0).astype(int) - image).max() <= 2
    page.keyboard.press("Escape")
    invitation = settle(page)
    page.reload()
    assert settle(page) == invitation
    points = ["[]", "[[1e9,0]]", '[["x","y"]]', "[[0]]", "7"]
    junk = ["{", "7", "[1]", "null", '[{"width":"a","points":[[0,0]]}]']
    junk += [f'[{{"width":1,"points":{each}}}]' for each in points]
    for kept in junk:
        page.evaluate("(kept) => localStorage.setItem('drawing', kept)", kept)
        page.reload()
        assert settle(page) == invitation, kept


def test_it_works_where_storage_is_denied(browser: Browser, address: str) -> None:
    page = browser.new_page()
    denied = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied') }})"
    page.add_init_script(denied)
    page.goto(address)
    settle(page)
    assert draw(page, STROKES[7]).startswith("This looks like a 7 (")
    page.close()


def logits_in_browser(page: Page, network: DigitNet, test: Any, images: torch.Tensor) -> np.ndarray:
    values = page.evaluate(
        """async ([written, packed]) => {
            const {Network} = await import("./network.js");
            const images = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
            const network = new Network(written);
            return Array.from({length: images.length / 784}, (_, k) =>
                Array.from(network.logits(images.subarray(784 * k, 784 * (k + 1)))));
        }""",
        [build.encode(network, test.normalisation), packed(images.numpy())],
    )
    return torch.tensor(values)


RECIPES = {path.stem: config.read(path).model for path in sorted(ROOT.glob("recipes/*.yaml"))}


@pytest.mark.parametrize("recipe", ["trained", *RECIPES])
def test_the_network_computes_what_torch_computes(
    page: Page, material: Material, recipe: str
) -> None:
    """The network that was trained, and each recipe's with weights drawn at random."""
    network = material.network
    if recipe != "trained":
        network = networks.with_statistics(DigitNet(RECIPES[recipe], networks.seeded(0)))
    images = material.test.images[:200]
    expected = model_file.classify(network, images, material.normalisation)
    logits = logits_in_browser(page, network, material, images)
    assert (logits - expected).abs().max() < 1e-4
    assert torch.equal(logits.argmax(1), expected.argmax(1))


def test_probabilities_are_softmax_at_the_temperature(page: Page, material: Material) -> None:
    logits = [0.5, -2, 3, 1, 0, 0, 0, 0, 0, 40]
    written = build.encode(material.network, material.normalisation)
    for temperature in (1.0, 2.5):
        values = page.evaluate(
            """async ([written, logits]) => {
                const {Network} = await import("./network.js");
                return new Network(written).probabilities(logits);
            }""",
            [written | {"temperature": temperature}, logits],
        )
        expected = (torch.tensor(logits, dtype=torch.float64) / temperature).softmax(0)
        assert (torch.tensor(values, dtype=torch.float64) - expected).abs().max() < 1e-12


def handwritten(material: Material, count: int) -> tuple[list[list[Points]], list[int]]:
    """Drawings and labels: people's, traced from the test set; else those the network knows."""
    if not PIPELINE:
        rng = np.random.default_rng(5)
        return [strokes.shaken(k % 10, rng) for k in range(count)], [k % 10 for k in range(count)]
    traced = ((trace(image), int(label)) for image, label in zip(
        material.test.images.numpy(), material.test.labels, strict=True))  # fmt: skip
    drawings = itertools.islice(((drawn, label) for drawn, label in traced if drawn), count)
    return tuple(map(list, zip(*drawings, strict=True)))


def on_pad(drawing: list[Points], share: float, rng: np.random.Generator) -> list[Points]:
    """The drawing at a random place of the pad, its longer side so large a share of the pad's.

    The points are whole pixels of a pad of 300: what a mouse gives on a small screen.
    """
    points = np.concatenate([np.array(stroke) for stroke in drawing])
    low, size = points.min(0), np.ptp(points, axis=0)
    scale = share / size.max()
    start = rng.uniform(0, 1 - scale * size)
    return [
        [tuple(np.rint(300 * ((np.array(point) - low) * scale + start)) / 300) for point in stroke]
        for stroke in drawing
    ]


@pytest.fixture(scope="module")
def drawings(material: Material) -> tuple[list[list[Points]], list[int]]:
    return handwritten(material, 200)


@pytest.mark.parametrize("share", [0.11, 0.2, 0.4, 0.7, 1])
def test_a_digit_is_read_whatever_its_size_on_the_pad(
    page: Page, drawings: tuple[list[list[Points]], list[int]], share: float
) -> None:
    rng = np.random.default_rng(int(100 * share))
    widths = itertools.cycle(BRUSHES.values())
    sized = [
        [{"width": width, "points": stroke} for stroke in on_pad(drawing, share, rng)]
        for drawing, width in zip(drawings[0], widths, strict=False)
    ]
    digits = page.evaluate(
        """async (drawings) => {
            const [{asImage}, {Network, fetchJson}] =
                await Promise.all([import("./strokes.js"), import("./network.js")]);
            const network = new Network(await fetchJson("network.json"));
            return drawings.map((drawing) => {
                const logits = network.logits(asImage(drawing));
                return logits.indexOf(Math.max(...logits));
            });
        }""",
        sized,
    )
    right = sum(digit == label for digit, label in zip(digits, drawings[1], strict=True))
    print(f"{share:.0%} of the pad: {right} of {len(digits)} right")
    assert right >= 0.98 * len(digits)


def remarks(page: Page, drawings: list[list[Points]]) -> list[str]:
    """What the page says against each drawing."""
    return page.evaluate(
        """async (drawings) => {
            const {remarkOn} = await import("./strokes.js");
            return drawings.map((strokes) =>
                remarkOn(strokes.map((points) => ({width: 1, points}))));
        }""",
        drawings,
    )


def beside(digits: list[int], rng: np.random.Generator) -> list[Points]:
    """Digits from left to right, each half as wide as it is high."""
    share = 1 / len(digits)
    return [
        [(share * (place + 1.4 * (x - 0.5) + 0.5), share * 1.4 * y) for x, y in stroke]
        for place, digit in enumerate(digits)
        for stroke in strokes.shaken(digit, rng)
    ]


def test_what_is_not_one_digit_is_said(
    page: Page, drawings: tuple[list[list[Points]], list[int]]
) -> None:
    rng = np.random.default_rng(0)
    numbers = [beside(list(rng.integers(0, 10, count)), rng) for count in (2, 2, 3, 4) * 25]
    found = [remark.startswith("Several things") for remark in remarks(page, numbers)]
    assert sum(found) >= 0.95 * len(found)
    false = [remark for remark in remarks(page, drawings[0]) if remark]
    print(f"{sum(found)} of {len(found)} numbers noticed, {len(false)} remarks on 200 digits")
    assert len(false) <= 2, false
    assert draw(page, beside([1, 7], rng)).startswith("Several things are drawn;")
    page.keyboard.press("Escape")
    assert draw(page, [[(0.2, 0.5), (0.8, 0.52)]]).startswith("Unsure: this is flatter")
    page.keyboard.press("Escape")
    assert draw(page, [[(0.5, 0.5)]]).startswith("Unsure: this is a dot")


def test_small_digits_drawn_with_the_mouse_are_read(page: Page) -> None:
    rng = np.random.default_rng(0)
    for digit in (2, 3, 7):
        assert f" a {digit} (" in draw(page, on_pad(STROKES[digit], 0.11, rng))
        page.keyboard.press("Escape")


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.ariaLabel || document.activeElement.id")


def test_it_works_by_keyboard(page: Page, material: Material) -> None:
    def press(key: str) -> str:
        page.keyboard.press(key)
        return settle(page)

    invitation = settle(page)
    press("Tab")
    assert page.evaluate("document.activeElement.value") == "1", "the brush"
    ring = "getComputedStyle(document.activeElement.parentElement).outlineStyle"
    assert page.evaluate(ring) == "solid"
    press("ArrowRight")
    assert page.get_by_role("radio", name="Bold").is_checked()
    for _ in range(20):  # the browser decides how radio buttons follow each other
        press("Tab")
        if focused(page) == "A 0, the first of each in the test set":
            break
    assert page.evaluate(ring) == "solid"
    first = press("Space")
    place = int((material.test.labels == 0).nonzero()[0])
    assert np.array_equal(pixels(page, "#seen", 0), material.test.images[place].numpy())
    assert first.endswith(("So says its label.", "Its label says 0."))
    assert press("ArrowRight") != first
    assert focused(page).startswith("A 1")
    assert press("Control+z") == first
    assert press("Escape") == invitation
    assert page.get_by_role("radio", checked=True).count() == 1, "the brush"
    for _ in range(20):
        press("Shift+Tab")
        if focused(page) == "undo":
            break
    assert press("Enter") == first


def test_a_stroke_replaces_an_example(page: Page) -> None:
    example = page.get_by_role("radio", name="A 4, the first")
    example.check()
    settle(page)
    assert draw(page, STROKES[7]).startswith("This looks like a 7 (")
    assert not example.is_checked()
    page.keyboard.press("Control+z")
    settle(page)
    assert example.is_checked()


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    touching = [{"x": x, "y": y} for x, y in points]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touching})


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": width, "height": height}, "has_touch": True, "is_mobile": True}
        for width, height in [(360, 640), (640, 360)]
    ],
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


def test_the_layers_are_shown_as_they_are_computed(page: Page, material: Material) -> None:
    page.get_by_role("radio", name="A 3, the first").check()
    settle(page)
    place = int((material.test.labels == 3).nonzero()[0])
    features = material.normalisation(material.test.images[place : place + 1].unsqueeze(1))
    rows = page.locator("#maps figure").all()
    layers = [layer for layer in material.network.layers if layer.output.size > 1]
    for layer, row in zip(layers, rows[: len(layers)], strict=True):
        with torch.inference_mode():
            features = layer.forward(material.network, features, None)
        caption = row.locator("figcaption").inner_text()
        shape = [layer.output.channels, layer.output.size, layer.output.size]
        assert [int(each) for each in re.findall(r"\d+", caption)][-3:] == shape
        assert row.locator("canvas").count() == layer.output.channels
        row.locator("canvas").nth(1).evaluate("(each) => each.setAttribute('id', 'one')")
        levels = features[0, 1].clamp(0) / features.max()
        difference = pixels(page, "#one", 0) - 255 * levels.numpy() ** 2
        assert np.abs(difference).max() < 2
        page.evaluate("document.getElementById('one').removeAttribute('id')")


def test_the_map_says_which_ink_speaks_for_the_digit(page: Page, material: Material) -> None:
    """Compared with the same squares of paper laid on in torch."""
    draw(page, STROKES[3])
    page.wait_for_selector("#rests[aria-busy=false]")
    levels = torch.from_numpy(pixels(page, "#seen", 0).copy())
    corners = [(top, left) for top in range(-4, 28, 2) for left in range(-4, 28, 2)]
    squares = torch.zeros(len(corners), 28, 28, dtype=torch.bool)
    for square, (top, left) in zip(squares, corners, strict=True):
        square[max(top, 0) : top + 5, max(left, 0) : left + 5] = True
    images = torch.cat([levels[None], levels * ~squares])
    logits = model_file.classify(material.network, images, material.normalisation).double()
    others = torch.cat([logits[:, :3], logits[:, 4:]], 1).logsumexp(1)
    odds = logits[:, 3] - others
    drops = (odds[0] - odds[1:])[:, None, None] * squares
    expected = drops.sum(0) / squares.sum(0)
    shares = (expected / expected.abs().max()).numpy()
    ink = 0.45 * levels.numpy()
    for channel, (good, bad) in enumerate(zip((40, 150, 255), (255, 140, 0), strict=True)):
        tint = np.where(shares > 0, good, bad)
        painted = ink * (1 - np.abs(shares)) + tint * np.abs(shares)
        assert np.abs(pixels(page, "#rests", channel) - painted).max() < 3
    assert "What the 3 rests on" in page.locator("#rests-on").inner_text()


def luminance(colour: str) -> float:
    levels = [int(level) / 255 for level in re.findall(r"\d+", colour)[:3]]
    linear = [((each + 0.055) / 1.055) ** 2.4 if each > 0.04 else each / 12.92 for each in levels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


SCREENS = {
    "desktop": (1280, 720, "light", "none"),
    "desktop-dark": (1280, 720, "dark", "none"),
    "desktop-forced": (1280, 720, "dark", "active"),
    "tablet": (768, 1024, "light", "none"),
    "phone": (360, 640, "light", "none"),
    "phone-dark": (320, 568, "dark", "none"),
    "phone-forced": (360, 640, "light", "active"),
    "phone-on-its-side": (640, 360, "dark", "none"),
    "desktop-at-200-percent": (640, 360, "light", "none"),  # what is left of 1280x720
    "landscape-forced": (640, 360, "dark", "active"),
}


@pytest.mark.parametrize(
    "options",
    [
        {
            "viewport": {"width": width, "height": height},
            "color_scheme": colours,
            "forced_colors": forced,
            "device_scale_factor": 2 if name.endswith("percent") else 1,
            "has_touch": "phone" in name,
        }
        for name, (width, height, colours, forced) in SCREENS.items()
    ],
    ids=SCREENS,
)
def test_pad_and_result_are_seen_together_and_legible(page: Page, options: dict[str, Any]) -> None:
    draw(page, STROKES[3])
    scroll, width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= width
    tools = [f"#{name}" for name in ("undo", "redo", "clear")]
    for name in ("#pad", "#digit", "#sentence", "#bars", *tools):
        box = page.locator(name).bounding_box()
        assert 0 <= box["x"] <= width - box["width"], name
        assert 0 <= box["y"] <= options["viewport"]["height"] - box["height"], name
    assert page.locator("#pad").bounding_box()["width"] >= 200
    page_colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(page_colour) < 0.1) == (options["color_scheme"] == "dark")
    ink, paper, edge = page.evaluate("""() => {
        const [pad, paper] = ["#pad", ".paper"].map((name) =>
            getComputedStyle(document.querySelector(name)));
        const edge = matchMedia("(forced-colors: active)").matches
            ? paper.outlineColor : paper.boxShadow;
        return [pad.color, paper.backgroundColor, edge];
    }""")
    assert contrast(ink, paper) >= 7
    assert min(contrast(edge, page_colour), contrast(edge, paper)) >= 3
    painted = pixels(page, "#pad", 0)[pixels(page, "#pad", 3) == 255]
    assert abs(int(np.median(painted)) - int(re.findall(r"\d+", ink)[0])) <= 1, "as the style says"
    for name in ("h1", "#sentence", "#digit", "#bars li", "figcaption", "legend", "footer p"):
        colour = page.locator(name).last.evaluate("(each) => getComputedStyle(each).color")
        assert contrast(colour, page_colour) >= 4.5, name
    overflow = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth + 1).length"
    assert page.locator(".verdict, #bars, .tools label, button").evaluate_all(overflow) == 0


def test_the_page_may_ask_no_other_server(browser: Browser, address: str) -> None:
    page, messages = browser.new_page(), []
    page.goto(address)
    page.on("console", lambda message: messages.append(message.text))
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate("(address) => fetch(address)", address.replace("127.0.0.1", "localhost"))
    assert any("Content Security Policy" in message for message in messages)
    page.close()


def test_it_is_ready_within_two_seconds_of_a_slow_connection(
    browser: Browser, address: str
) -> None:
    """Bytes are counted, not seconds; the connection is throttled all the same."""
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    sizes = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    session.send("Network.enable")
    slow = {"offline": False, "latency": 20, "downloadThroughput": SPEED, "uploadThroughput": SPEED}
    session.send("Network.emulateNetworkConditions", slow)
    page.goto(address)
    settle(page)
    page.get_by_role("radio", name="A 9, the hardest").wait_for()
    print(f"{sum(sizes):,.0f} bytes in {len(sizes)} files")
    assert len(sizes) > 8
    assert sum(sizes) < 2 * SPEED
    page.close()


@contextmanager
def plain_server(site: Path) -> Iterator[str]:
    """A server that knows few types, such as one of plain files somewhere."""

    class Quiet(SimpleHTTPRequestHandler):
        extensions_map = {  # noqa: RUF012
            ".js": "application/javascript",
            ".html": "text/html",
            ".css": "text/css",
            "": "application/octet-stream",
        }

        def log_message(self, format: str, *args: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_any_server_of_plain_files_can_publish_it(browser: Browser, site: Path) -> None:
    with plain_server(site.parent) as address:
        page = browser.new_page()
        page.goto(f"{address}{site.name}/")
        settle(page)
        assert draw(page, STROKES[7]).startswith("This looks like a 7 (")
        page.close()


@pytest.mark.parametrize(
    ("name", "answer", "sentence"),
    [
        ("page.js", None, "The page does not work: page.js, or a script that it needs"),
        ("strokes.js", None, "The page does not work: page.js, or a script that it needs"),
        ("pad.js", {"content_type": "application/octet-stream", "body": "1"}, "The page does not"),
        ("layers.js", {"content_type": "text/javascript", "body": "let ="}, "The page does not"),
        (
            "network.json",
            {"body": "no network"},
            "The network cannot be run: network.json: damaged",
        ),
        ("network.json", {"status": 404}, "The network cannot be run: network.json: the server"),
        ("network.json", {"body": "{}"}, "The network cannot be run: "),
        ("examples.json", {"status": 500}, "The examples cannot be shown: examples.json: the"),
    ],
)
def test_what_cannot_be_loaded_is_a_sentence(
    browser: Browser, address: str, name: str, answer: dict[str, Any] | None, sentence: str
) -> None:
    page = browser.new_page()
    if answer:
        page.route(f"**/{name}", lambda route: route.fulfill(**answer))
    else:
        page.route(f"**/{name}", lambda route: route.abort())
    page.goto(address)
    page.get_by_text(sentence).wait_for(timeout=PATIENCE)
    assert settle(page).startswith(sentence), "it is announced"
    page.close()


def test_what_is_being_loaded_is_said(browser: Browser, address: str) -> None:
    page = browser.new_page()
    held = []
    page.route("**/page.js", lambda route: held.append(route))
    page.goto(address, wait_until="commit")
    page.get_by_text("Loading the scripts of this page.").wait_for()
    page.route("**/network.json", lambda route: held.append(route))
    held.pop().continue_()
    page.get_by_text("Loading the network").wait_for()
    held.pop().continue_()
    assert settle(page).startswith("Draw a digit")
    page.close()


def test_without_the_script_that_reports_faults_the_page_works(
    browser: Browser, address: str
) -> None:
    page = browser.new_page()
    page.route("**/loading.js", lambda route: route.abort())
    page.goto(address)
    assert settle(page).startswith("Draw a digit")
    page.close()
