"""The page for a model of the user's own pictures: made by the stages, served, shown pictures."""

import base64
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page

from demo import build
from digits.core import files, split
from digits.core.data_shape import DataShape
from digits.core.split import Normalisation, Split
from digits.network import model_file
from digits.pictures.fitting import fitted
from digits.pictures.opening import opened as picture_in
from stages import paths
from tests.browser.conftest import opened, served, settle
from tests.browser.test_demo import contrast, draw, pixels
from tests.browser.test_pictures import GIVE, give
from tests.drawn import Pixels
from tests.pipeline.test_own_pictures import prepare, write
from tests.project import Project
from tests.unit import networks

MARKUP = "<img src=x onerror=alert(1)>"
COLOURS = {"Żółw i kot": (40, 160, 60), "sea horse": (50, 80, 220), MARKUP: (210, 40, 40)}
CLASSES = sorted(COLOURS)
SIZE = 16


def spot(name: str, rng: np.random.Generator) -> Pixels:
    """A picture of any size, bright, with a square of the class's colour somewhere."""
    height, width = rng.integers(20, 60, 2)
    picture = rng.integers(150, 256, (height, width, 3), np.uint8)
    top, left = rng.integers(0, 8, 2)
    picture[top : top + 14, left : left + 14] = COLOURS[name]
    return picture


def spots(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name in COLOURS:
        for number in range(20):
            write(root / name / f"{number}", spot(name, rng), ".png")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = prepare(tmp_path_factory.mktemp("own"), spots, channels=3, image_size=SIZE)
    project.change("train", epochs=30, batch_size=9)
    project.dvc("repro", "train")
    project.run(sys.executable, "-m", "demo.build")
    return project


@pytest.fixture(scope="module")
def address(project: Project) -> Iterator[str]:
    with served(project.path / "demo/site") as address:
        yield address


def png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG", exif=picture.getexif())
    return content.getvalue()


def quoted(name: str) -> str:
    return f"“\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}”"


def test_a_picture_is_told_its_class(page: Page, project: Project) -> None:
    network, normalisation = model_file.load(project.path / paths.MODEL)
    temperature = files.read_metrics(project.path / paths.TRAIN_METRICS)["temperature"]
    assert settle(page).startswith("Choose a picture")
    assert page.title() == page.locator("h1").inner_text() == "Show a picture"
    rng = np.random.default_rng(1)
    for way, name in zip(["file", "photo", "paste"], COLOURS, strict=True):
        content = png(Image.fromarray(spot(name, rng)))
        image = fitted(Image.open(io.BytesIO(content)), SIZE, 3, "pad")
        logits = model_file.classify(network, torch.tensor(image)[None], normalisation)
        share = 100 * (logits / temperature).softmax(1).max().item()

        sentence = give(page, way, "new.png", content)

        start = f"This looks like {quoted(name)} ("
        assert sentence.startswith(start)
        shown = re.match(r"(?:over )?([\d.]+)", sentence.removeprefix(start))[1]
        assert abs(float(shown) - min(share, 99.9)) <= 0.051
        assert page.locator("#bars b").all_inner_texts() == CLASSES
        assert page.locator(".likeliest b").inner_text() == name
        assert page.locator(".likeliest .fill").bounding_box()["width"] > 10
        assert page.locator("#picture").get_attribute("aria-label") == "new.png"
        seen = np.dstack([pixels(page, "#seen", channel) for channel in range(3)])
        assert np.array_equal(seen, image)
    assert page.locator("img").count() == 0, "a name is text"
    assert "pixels in colour. All of the picture" in page.locator("#form").inner_text()


def test_what_cannot_be_read_is_named_and_what_is_dropped_shown(page: Page) -> None:
    picture = png(Image.fromarray(spot(CLASSES[0], np.random.default_rng(2))))
    answer = give(page, "drop", "a.png", picture)
    image = pixels(page, "#seen", 0)
    problem = give(page, "drop", "words.txt", b"words")
    assert problem == "words.txt: not a picture in a format that this browser reads"
    assert np.array_equal(pixels(page, "#seen", 0), image)
    assert give(page, "drop", "a.png", picture) == answer


def test_arrow_keys_go_through_the_examples(page: Page, project: Project) -> None:
    test = split.load(project.path / paths.TEST)
    page.locator(".row input").first.wait_for()
    for row, name in enumerate(["first of each in the test set", "hardest of each for this"]):
        assert page.locator(".row").nth(row).locator("input").count() == len(CLASSES)
        first = page.get_by_role("radio", name=name).first
        first.focus()
        page.keyboard.press("Space")
        for place, label in enumerate(CLASSES):
            sentence = settle(page)
            assert sentence.endswith(("So says its label.", f"Its label says {quoted(label)}."))
            focused = page.evaluate("document.activeElement.ariaLabel")
            assert focused.startswith(f"{quoted(label)}, the {name}")
            if row == 0:
                image = test.images[int((test.labels == place).nonzero()[0])].numpy()
                seen = np.dstack([pixels(page, "#seen", channel) for channel in range(3)])
                assert np.array_equal(seen, image)
            page.keyboard.press("ArrowRight")
    assert page.locator("#maps canvas").count() == 6 + 6 + 8 + 8
    give(page, "drop", "a.png", png(Image.fromarray(spot(CLASSES[0], np.random.default_rng(2)))))
    assert page.get_by_role("radio", checked=True).count() == 0


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": width, "height": height}, "color_scheme": colours}
        for width, height in ((360, 640), (640, 360), (1280, 720))
        for colours in ("light", "dark")
    ],
)
def test_it_fits_and_is_legible(page: Page, options: dict[str, Any]) -> None:
    give(page, "drop", "a.png", png(Image.fromarray(spot(CLASSES[0], np.random.default_rng(2)))))
    scroll, width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for name in ("h1", "#sentence", "#bars li", "figcaption", "legend", ".row span", "footer p"):
        colour = page.locator(name).last.evaluate("(each) => getComputedStyle(each).color")
        assert contrast(colour, paper) >= 4.5, name
    unnamed = "(all) => all.filter((each) => !each.labels.length).length"
    assert page.locator("input").evaluate_all(unnamed) == 0


def test_the_network_computes_what_torch_computes(page: Page, project: Project) -> None:
    network, normalisation = model_file.load(project.path / paths.MODEL)
    images = split.load(project.path / paths.TEST).images
    logits = page.evaluate(
        """async (images) => {
            const {Network, fetchJson} = await import("./network.js");
            const network = new Network(await fetchJson("network.json"));
            return images.map((image) => Array.from(network.logits(Uint8Array.from(image))));
        }""",
        images.flatten(1).tolist(),
    )
    expected = model_file.classify(network, images, normalisation)
    assert (torch.tensor(logits) - expected).abs().max() < 1e-4


FITTED = """async ([packed, shape]) => {
    const [{open}, {fitted}] = await Promise.all([import("./opening.js"), import("./fitting.js")]);
    const bytes = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
    const {image} = await open(new File([bytes], "picture"), "white");
    return Array.from(fitted(image, shape));
}"""


def made_up(mode: str, width: int, height: int) -> Image.Image:
    """Noise beside even parts and sharp edges, where Lanczos overshoots; perhaps transparent."""
    rng = np.random.default_rng(width)
    levels = rng.integers(0, 256, (height, width, 4), np.uint8)
    levels[: height // 2] = np.where(levels[: height // 2] > 200, 255, 0)
    levels[:, : width // 4] = (20, 250, 130, 255)
    return Image.fromarray(levels).convert(mode)


def turned(picture: Image.Image) -> Image.Image:
    picture.getexif()[0x0112] = 6
    return picture


PICTURES = [  # and by how many levels the page may differ
    (made_up("RGB", 150, 97), 0),
    (made_up("RGB", 31, 200), 0),
    (made_up("L", 20, 9), 0),
    (made_up("RGB", 3, 400), 0),
    (made_up("P", 64, 64), 0),
    (made_up("1", 45, 80), 0),
    (turned(made_up("RGB", 90, 40)), 0),
    (made_up("RGBA", 70, 91), 1),  # the browser rounds transparency in its own way
    (made_up("LA", 91, 50), 1),
]


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_the_page_fits_pictures_as_the_pipeline_does(page: Page, fit: str) -> None:
    for picture, tolerance in PICTURES:
        content = png(picture)
        for size, channels in ((32, 3), (32, 1), (9, 3), (64, 1)):
            shape = {"size": size, "channels": channels, "fit": fit}
            seen = page.evaluate(FITTED, [base64.b64encode(content).decode(), shape])
            with picture_in(content) as again:
                expected = fitted(again, size, channels, fit).flatten().astype(int)
            difference = np.abs(np.array(seen) - expected).max()
            assert difference <= tolerance, (picture, size, channels)


def site_of(shape: DataShape, folder: Path) -> Path:
    """A page for a network with weights drawn at random."""
    rng = networks.seeded(0)
    count = 2 * len(shape.classes)
    images = torch.randint(0, 256, shape.images(count), generator=rng, dtype=torch.uint8)
    labels = torch.arange(count, dtype=split.label_type(shape)) % len(shape.classes)
    normalisation = Normalisation(mean=0.5, std=0.3)
    network = networks.with_statistics(networks.network([6, "pool", 8, "gap"], shape=shape))
    model, test = folder / "model.safetensors", folder / "test.safetensors"
    model_file.save(model, network, normalisation)
    split.save(test, Split(images, labels, normalisation, shape))
    build.build(model, test, folder / "site")
    return folder / "site"


def test_of_many_classes_the_likeliest_ten_have_bars(browser: Browser, tmp_path: Path) -> None:
    names = ("<b>x</b>", *(f"class {number}" for number in range(70)))
    shape = DataShape(size=20, channels=1, classes=names, fit="crop")
    with (
        served(site_of(shape, tmp_path)) as address,
        opened(browser, address, {}) as page,
    ):
        page.locator(".row input").first.wait_for()
        assert page.locator(".row input").count() == 2 * build.MOST_EXAMPLES
        page.locator(".row input").first.focus()
        page.keyboard.press("Space")
        settle(page)
        shares = page.evaluate(
            """async () => {
                const {Network, fetchJson} = await import("./network.js");
                const network = new Network(await fetchJson("network.json"));
                const [{images: [{pixels}]}] = await fetchJson("examples.json");
                const levels = Uint8Array.from(atob(pixels), (sign) => sign.charCodeAt(0));
                return network.probabilities(network.logits(levels));
            }"""
        )
        order = np.argsort(-np.array(shares), kind="stable")[:10]
        assert page.locator("#bars b").all_inner_texts() == [names[place] for place in order]
        assert page.locator("#bars li").first.get_attribute("class") == "likeliest"
        assert "pixels in grey. The middle" in page.locator("#form").inner_text()
        content = base64.b64encode(png(made_up("L", 30, 40))).decode()
        page.evaluate(GIVE, ["paste", "new.png", content])
        page.wait_for_selector("[aria-label='new.png']")
        settle(page)
        assert page.locator("b b").count() == 0


def test_a_name_that_is_markup_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    shape = DataShape(size=20, channels=3, classes=("<b>x</b>", "&amp;", "a"), fit="stretch")
    with (
        served(site_of(shape, tmp_path)) as address,
        opened(browser, address, {}) as page,
    ):
        page.locator(".row input").first.wait_for()
        assert page.locator("#bars b").all_inner_texts() == list(shape.classes)
        assert page.locator(".row span").all_inner_texts() == 2 * list(shape.classes)
        page.locator(".row input").first.focus()
        page.keyboard.press("Space")
        sentence = settle(page)
        assert quoted("<b>x</b>") in sentence or "So says its label" in sentence
        assert page.locator("b b, p b").count() == 0


def test_drawings_may_have_other_names_than_digits(browser: Browser, tmp_path: Path) -> None:
    names = ("T-shirt/top", "trouser", "pullover", "dress", "coat")
    with (
        served(site_of(DataShape(classes=names), tmp_path)) as address,
        opened(browser, address, {"viewport": {"width": 360, "height": 640}}) as page,
    ):
        assert settle(page).startswith("Draw an image, choose")
        sentence = draw(page, [[(0.2, 0.2), (0.8, 0.3), (0.5, 0.9)]])
        assert any(sentence.startswith(f"This looks like {quoted(name)} (") for name in names)
        assert page.locator("#bars b").all_inner_texts() == list(names)
        scroll, width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert scroll <= width
