"""Pictures that are pasted, dropped, chosen or photographed: read as the command reads them."""

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Page

from digits.core.errors import UserError
from digits.handwriting.mnist_form import mnist_form
from digits.handwriting.paper import ink_of
from digits.handwriting.parts import drawings
from digits.handwriting.picture_file import pages
from digits.network import model_file
from tests.browser import strokes
from tests.browser.conftest import Material, settle
from tests.browser.test_demo import pixels

GIVE = """([kind, name, packed]) => {
    const bytes = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name));
    const more = {bubbles: true, cancelable: true};
    document.body.dispatchEvent(kind === "paste"
        ? new ClipboardEvent("paste", {...more, clipboardData: data})
        : new DragEvent("drop", {...more, dataTransfer: data}));
}"""


def photo(digit: int, size: int = 300) -> bytes:
    """A PNG of a dark digit on paper."""
    drawn = strokes.draw(digit, np.random.default_rng(digit), size)
    paper = Image.fromarray(np.uint8(235 - 0.8 * drawn))
    content = io.BytesIO()
    paper.save(content, "PNG")
    return content.getvalue()


def give(page: Page, way: str, name: str, content: bytes) -> str:
    """Hand a picture to the page; returns the sentence about it."""
    before = page.get_by_role("status").inner_text()
    if way in ("file", "photo"):
        payload = {"name": name, "mimeType": "image/png", "buffer": content}
        page.locator(f"#{way}").set_input_files(payload)
    else:
        page.evaluate(GIVE, [way, name, base64.b64encode(content).decode()])
    page.wait_for_function(
        "(before) => document.getElementById('sentence').textContent !== before",
        arg=before,
    )
    return settle(page)


@pytest.mark.parametrize("way", ["paste", "drop", "file", "photo"])
def test_a_picture_is_read_however_it_comes(page: Page, way: str) -> None:
    assert give(page, way, "three.png", photo(3)).startswith("This looks like a 3 (")
    assert pixels(page, "#pad", 3).min() == 255, "the pad shows it"
    assert give(page, way, "seven.png", photo(7)).startswith("This looks like a 7 (")
    page.keyboard.press("Control+z")
    assert settle(page).startswith("This looks like a 3 (")


def test_two_digits_in_a_picture_are_said(page: Page) -> None:
    both = [np.array(Image.open(io.BytesIO(photo(digit)))) for digit in (1, 7)]
    content = io.BytesIO()
    Image.fromarray(np.hstack(both)).save(content, "PNG")
    assert give(page, "drop", "17.png", content.getvalue()).startswith("Several things are drawn;")


@pytest.mark.parametrize(
    ("box", "remark"),
    [
        ((40, 90, 160, 105), "Unsure: this is a stroke that lies, not a digit."),
        ((90, 90, 110, 110), "Unsure: this is a dot, not a digit."),
    ],
)
def test_what_is_no_digit_is_said(page: Page, box: tuple[int, int, int, int], remark: str) -> None:
    canvas, content = Image.new("L", (200, 200), "white"), io.BytesIO()
    ImageDraw.Draw(canvas).rounded_rectangle(box, 8, fill="black")
    canvas.save(content, "PNG")
    assert give(page, "drop", "drawn.png", content.getvalue()) == remark


def test_a_file_that_is_no_picture_is_named_and_changes_nothing(page: Page) -> None:
    drawn = give(page, "paste", "three.png", photo(3))
    image = pixels(page, "#seen", 0)
    for name, content in [("words.txt", b"words"), ("cut.png", photo(7)[:60]), ("none.png", b"")]:
        assert give(page, "drop", name, content) == (
            f"{name}: not a picture in a format that this browser reads"
        )
        assert np.array_equal(pixels(page, "#seen", 0), image)
        page.keyboard.press("Control+z")
        page.keyboard.press("Control+y")
        assert settle(page) == drawn
    assert "HEIC; save it as JPEG" in give(page, "file", "IMG_0001.HEIC", b"ftypheic")


Levels = np.ndarray[Any, np.dtype[np.float64]]
TOLERANCE = 8  # of 255: the browser rounds transparency, and decodes JPEG, in its own way


def on_paper(rng: np.random.Generator, digit: int, size: int) -> Levels:
    """Red, green and blue of ink on paper of any colour, in light that falls off evenly."""
    drawn = strokes.draw(digit, rng, size)[..., np.newaxis] / 255
    down, right = np.mgrid[0:size, 0:size][..., np.newaxis] / size
    light = 1 - rng.uniform(0, 0.25) * down - rng.uniform(0, 0.15) * right
    return rng.uniform(180, 250, 3) * light * (1 - rng.uniform(0.5, 0.95) * drawn)


def image_of(levels: Levels) -> Image.Image:
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def transparent(levels: Levels, rng: np.random.Generator) -> Image.Image:
    drawn = strokes.draw(int(rng.integers(10)), rng, len(levels))
    ink = np.full((*drawn.shape, 3), rng.choice([20, 230]), np.uint8)
    return Image.fromarray(np.dstack([ink, drawn]))


def turned(levels: Levels, rng: np.random.Generator) -> Image.Image:
    image = image_of(levels)
    image.getexif()[0x0112] = int(rng.integers(2, 9))  # the orientation
    return image


def framed(levels: Levels, rng: np.random.Generator) -> Image.Image:
    image = image_of(levels)
    ImageDraw.Draw(image).rectangle((0, 0, len(levels) - 1, len(levels) - 1), outline="black")
    return image


KINDS: dict[str, Callable[[Levels, np.random.Generator], Image.Image]] = {
    "clean": lambda levels, rng: image_of(levels),
    "white on black": lambda levels, rng: image_of(255 - levels),
    "grey": lambda levels, rng: image_of(levels).convert("L"),
    "palette": lambda levels, rng: image_of(levels).quantize(32),
    "black and white": lambda levels, rng: image_of(levels).convert("1"),
    "noise": lambda levels, rng: image_of(levels + rng.normal(0, 6, levels.shape)),
    "blurred": lambda levels, rng: image_of(levels).filter(ImageFilter.GaussianBlur(3)),
    "fog": lambda levels, rng: image_of(200 + 0.2 * levels),
    "tiny": lambda levels, rng: image_of(levels).resize((16, 16), Image.Resampling.BOX),
    "wide": lambda levels, rng: image_of(np.pad(levels, ((0, 0), (0, 300), (0, 0)), "edge")),
    "large": lambda levels, rng: image_of(levels).resize((2300, 2300)),
    "transparent": transparent,
    "turned by EXIF": turned,
    "framed": framed,
    "blank": lambda levels, rng: image_of(np.full_like(levels, 240)),
}
COUNTS = {"large": 4, "blank": 6}  # else 38 of each: 504 pictures in all


def pictures(kind: str) -> Iterator[bytes]:
    """Picture files of a kind, as PNG, JPEG and WebP by turns."""
    rng = np.random.default_rng(len(kind))
    for number in range(COUNTS.get(kind, 38)):
        levels = on_paper(rng, number % 10, int(rng.integers(40, 260)))
        image, content = KINDS[kind](levels, rng), io.BytesIO()
        exif = image.getexif()
        if number % 3 == 1 and image.mode in ("RGB", "L"):
            image.save(content, "JPEG", quality=int(rng.integers(60, 96)), exif=exif)
        elif number % 3 == 2 and image.mode == "RGB" and not exif:  # which Chromium ignores in WebP
            image.save(content, "WEBP", lossless=True, exif=exif)
        else:
            image.save(content, "PNG", exif=exif)
        yield content.getvalue()


def in_python(content: bytes) -> list[int] | str:
    try:
        first = drawings(*ink_of(next(pages(content))[1]))[0]
        return mnist_form(first.ink).flatten().tolist()
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_sees_what_the_command_sees(page: Page, material: Material, kind: str) -> None:
    files = list(pictures(kind))
    seen = page.evaluate(
        """async (files) => {
            const {readPicture} = await import("./picture.js");
            const all = [];
            for (const packed of files) {
                const bytes = Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0));
                const read = readPicture(new File([bytes], "picture"));
                all.push(await read.then(({pixels}) => Array.from(pixels), ({message}) => message));
            }
            return all;
        }""",
        [base64.b64encode(content).decode() for content in files],
    )
    expected = [in_python(content) for content in files]
    assert [each for each in seen if isinstance(each, str)] == [
        each for each in expected if isinstance(each, str)
    ]
    pairs = [pair for pair in zip(seen, expected, strict=True) if isinstance(pair[0], list)]
    assert bool(pairs) == (kind != "blank")
    if not pairs:
        return
    ours, theirs = torch.tensor(pairs).transpose(0, 1).reshape(2, len(pairs), 28, 28)
    assert (ours - theirs).abs().max() <= TOLERANCE
    digits = [
        model_file.classify(material.network, each.to(torch.uint8), material.normalisation).argmax(
            1
        )
        for each in (ours, theirs)
    ]
    assert torch.equal(*digits)
