"""A picture of any size and mode becomes an image of one size and one number of channels."""

import io

import numpy as np
import pytest
from PIL import Image

from digits.core.errors import UserError
from digits.pictures.fitting import Pixels, fitted
from digits.pictures.opening import has_picture_suffix, opened

WIDE = Image.new("RGB", (40, 20), "red")
WIDE.paste("blue", (10, 0, 30, 20))  # the middle square


def colours(pixels: Pixels) -> set[tuple[int, ...]]:
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


def test_a_picture_of_the_right_size_keeps_its_pixels() -> None:
    pixels = np.arange(300, dtype=np.uint16).reshape(10, 10, 3).astype(np.uint8)
    for size in (10, None):
        assert np.array_equal(fitted(Image.fromarray(pixels), size, 3, "pad"), pixels)
    grey = Image.fromarray(pixels[:, :, 0])
    assert np.array_equal(fitted(grey, 10, 1, "crop"), pixels[:, :, 0])


def test_crop_shows_the_middle_stretch_and_pad_show_all() -> None:
    assert colours(fitted(WIDE, 20, 3, "crop")) == {(0, 0, 255)}
    stretched = fitted(WIDE, 20, 3, "stretch")
    assert stretched[:, 0].tolist() == [[255, 0, 0]] * 20
    padded = fitted(WIDE, 40, 3, "pad")
    assert padded.shape == (40, 40, 3)
    assert np.array_equal(padded, np.broadcast_to(padded[20], padded.shape)), "edges continue"
    assert np.array_equal(padded[20], np.asarray(WIDE)[0])


def test_modes_become_eight_bits_and_nothing_transparent() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert colours(fitted(clear, 8, 3, "pad")) == {(255, 255, 255)}
    deep = Image.fromarray(np.full((8, 8), 257 * 100, np.uint16))
    assert set(fitted(deep, 8, 1, "pad").flat) == {100}
    palette = WIDE.convert("P")
    assert colours(fitted(palette, 20, 3, "crop")) == {(0, 0, 255)}
    with pytest.raises(UserError, match="floating-point pixels"):
        fitted(Image.fromarray(np.zeros((8, 8), np.float32)), 8, 1, "pad")


def test_a_picture_is_turned_upright() -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 3  # upside down
    half = Image.new("L", (16, 16), 0)
    half.paste(255, (0, 0, 16, 8))
    half.save(file, "png", exif=exif)
    with opened(file.getvalue()) as picture:
        upright = fitted(picture, 16, 1, "pad")
    assert (upright[0, 0], upright[15, 0]) == (0, 255)


@pytest.mark.parametrize("size", [(7, 7), (65, 65), (20, 21)])
def test_without_a_size_only_squares_that_networks_read_are_taken(size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=r"has .* pixels; set preprocess.image_size .* 8 to 64"):
        fitted(Image.new("L", size), None, 1, "pad")


def test_pictures_are_known_by_their_extension() -> None:
    assert all(map(has_picture_suffix, ("a.png", "b.JPEG", "c/d.webp", "e.heic")))
    assert not any(map(has_picture_suffix, ("a.txt", "b.eps", "png", "c.png.zip")))
