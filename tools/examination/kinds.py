"""Kinds of pictures: a digit of MNIST as cameras, scanners and programs show it.

Each kind takes a digit, uint8 `(28, 28)` with 0 for paper, and a generator, and draws a picture.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tools.examination import light, paper
from tools.examination.paper import BORDER, SIDE, Digit, Kind, scaled, written


def clean(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """280 pixels, black on white, somewhere on a larger sheet."""
    canvas = Image.new("L", (360, 360), 255)
    left, top = (int(each) for each in rng.integers(0, 81, 2))
    canvas.paste(0, (left, top), scaled(digit, 280))
    return canvas


def chalk(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Light on dark."""
    return light.picture(255 - light.levels(written(digit, rng)))


def pencil(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Grey on grey paper."""
    return written(digit, rng, paper=(200, 230), ink=(120, 170))


def own_box(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Cropped so that the digit touches all four edges."""
    rows, columns = (np.nonzero((digit > 100).any(axis))[0] for axis in (1, 0))
    part = Image.fromarray(255 - digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    factor = int(rng.integers(4, 9))
    size = part.width * factor, part.height * factor
    return part.resize(size, Image.Resampling.BICUBIC)


def tiny(side: int) -> Kind:
    """A picture of so few pixels, with a pixel of paper at most."""

    def kind(digit: Digit, rng: np.random.Generator) -> Image.Image:
        part = Image.fromarray(digit)
        part = part.crop(part.getbbox())
        factor = (side - int(rng.integers(2))) / max(part.size)
        width, height = (max(1, round(each * factor)) for each in part.size)
        part = part.resize((width, height), Image.Resampling.BOX)
        canvas = Image.new("L", (side, side), 255)
        canvas.paste(0, ((side - width) // 2, (side - height) // 2), part)
        return canvas

    return kind


def window(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """A screenshot of a white window with a transparent margin."""
    canvas = written(digit, rng, 30).convert("LA")
    margin, seen = int(rng.integers(8, 25)), Image.new("L", canvas.size)
    box = [margin, margin, BORDER - margin, BORDER - margin]
    ImageDraw.Draw(seen).rectangle(box, fill=255)
    canvas.putalpha(seen)
    return canvas


def transparent(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Ink of any grey on nothing."""
    ink = written(digit, rng, paper=(0, 1), ink=(255, 256))
    canvas = Image.new("LA", ink.size, (int(rng.integers(256)), 0))
    canvas.putalpha(ink)
    return canvas


def pen(stroke: ImageFilter.RankFilter) -> Kind:
    """A thin or a thick pen."""

    def kind(digit: Digit, rng: np.random.Generator) -> Image.Image:
        canvas = Image.new("L", (SIDE, SIDE), int(rng.integers(225, 256)))
        canvas.paste(20, (30, 30), scaled(digit, 140).filter(stroke))
        return canvas

    return kind


def strip(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """100 pixels in a strip of 20,000."""
    canvas = Image.new("L", (20_000, 140), 255)
    canvas.paste(0, (int(rng.integers(0, 19_900)), 20), scaled(digit, 100))
    return canvas


def jpeg(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Strongly compressed."""
    file = io.BytesIO()
    written(digit, rng).convert("RGB").save(file, "jpeg", quality=int(rng.integers(10, 40)))
    return Image.open(file)


KINDS: dict[str, Kind] = {
    "black on white, 280 pixels": clean,
    "dark on light": written,
    "light on dark": chalk,
    "pencil on grey paper": pencil,
    "frame at the edge": paper.frame(0),
    "frame 10 pixels inside": paper.frame(10),
    "1 % salt and pepper": light.salt(written),
    "noise, sigma 25": light.noise(written),
    "twelve dots of dust": paper.dots,
    "edge of a second digit": paper.neighbour,
    "lined paper": paper.ruled((22, 45), (100, 190), (1, 3), both=False),
    "squared paper": paper.ruled((14, 30), (140, 200), (1, 2), both=True),
    "one dark edge": paper.dark_edges(1),
    "four dark edges": paper.dark_edges(4),
    "black corners": paper.dark_corners,
    "cropped to its own box": own_box,
    "16x16": tiny(16),
    "8x8": tiny(8),
    "window with transparent margin": window,
    "transparent paper": transparent,
    "blur of 6 pixels": light.blur(written, 6),
    "a fifth of the contrast": light.fog(written),
    "the same with noise": light.noise(light.fog(written), 4),
    "light falls off": light.shade(written),
    "darker towards the corners": light.vignette(written),
    "shadow of a hand": light.shadow(written),
    "strong JPEG": jpeg,
    "thin pen": pen(ImageFilter.MinFilter(7)),
    "thick pen": pen(ImageFilter.MaxFilter(7)),
    "strip of 20,000 pixels": strip,
}
