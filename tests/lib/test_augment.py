"""Properties of augmentation."""

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine, rotate

from stages.lib.augment import augment, batches
from stages.lib.parameters import Augment
from tests import digits

NONE = Augment(rotation=0, translation=0, scale=0, shear=0, interpolation="nearest")
DESCRIBED = Augment(rotation=10, translation=0.1, scale=0, shear=0, interpolation="nearest")
SMOOTH = Augment(rotation=10, translation=0.1, scale=0, shear=0, interpolation="bilinear")
AFFINE = Augment(rotation=20, translation=0.1, scale=0.2, shear=15, interpolation="bilinear")


def images(count: int) -> torch.Tensor:
    return digits.split(count).images.unsqueeze(1).float()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_zero_strength_is_the_identity() -> None:
    assert torch.equal(augment(images(4), NONE, seeded()), images(4))


@pytest.mark.parametrize("strength", [DESCRIBED, SMOOTH, AFFINE])
def test_the_same_generator_gives_the_same_images(strength: Augment) -> None:
    first = augment(images(8), strength, seeded(1))
    assert torch.equal(first, augment(images(8), strength, seeded(1)))
    assert not torch.equal(first, augment(images(8), strength, seeded(2)))


@pytest.mark.parametrize("strength", [DESCRIBED, SMOOTH, AFFINE])
def test_each_image_moves_by_its_own_amount(strength: Augment) -> None:
    moved = augment(images(1).expand(16, -1, -1, -1), strength, seeded())
    assert len(torch.unique(moved, dim=0)) == 16


@pytest.mark.parametrize("strength", [DESCRIBED, SMOOTH, AFFINE])
def test_shape_type_and_range_stay(strength: Augment) -> None:
    moved = augment(images(8), strength, seeded())
    assert moved.shape == (8, 1, 28, 28)
    assert moved.dtype == torch.float32
    assert moved.min() >= 0
    assert moved.max() <= 255 * (1 + 1e-6)  # rounding


def test_nearest_invents_no_grey_values() -> None:
    original = images(8)
    moved = augment(original, DESCRIBED, seeded())
    assert set(moved.unique().tolist()) <= set(original.unique().tolist())


def test_shifts_are_whole_pixels_of_at_most_the_strength() -> None:
    dot = torch.zeros(1, 1, 28, 28)
    dot[0, 0, 14, 14] = 255
    strength = Augment(rotation=0, translation=0.1, scale=0, shear=0, interpolation="nearest")
    moved = augment(dot.expand(500, -1, -1, -1), strength, seeded())
    places = moved.flatten(1).nonzero()
    assert len(places) == 500, "every image keeps exactly one dot"
    rows, columns = places[:, 1] // 28 - 14, places[:, 1] % 28 - 14
    assert set(rows.tolist()) == set(columns.tolist()) == {-3, -2, -1, 0, 1, 2, 3}


def test_the_moves_are_torchvisions_rotate_then_translate() -> None:
    original = images(64)
    moved = augment(original, DESCRIBED, seeded(3))
    random = torch.rand(64, 5, generator=seeded(3)) * 2 - 1
    for index, (turn, across, down, *_) in enumerate(random.tolist()):
        turned = rotate(original[index], -10 * turn, InterpolationMode.NEAREST)
        shift = [round(2.8 * across), round(2.8 * down)]
        expected = affine(turned, 0.0, shift, 1.0, [0.0, 0.0], InterpolationMode.NEAREST)
        # a pixel that falls halfway between two may be rounded either way
        assert (moved[index] != expected).sum() <= 2


def test_the_smooth_moves_are_torchvisions_affine() -> None:
    original = images(64)
    moved = augment(original, AFFINE, seeded(3))
    random = torch.rand(64, 5, generator=seeded(3)) * 2 - 1
    for index, (turn, across, down, size, slant) in enumerate(random.tolist()):
        shift = [2.8 * across, 2.8 * down]
        expected = affine(
            original[index], 20 * turn, shift, 1 + 0.2 * size, [15 * slant, 0.0],  # pyright: ignore
            InterpolationMode.BILINEAR,
        )  # fmt: skip
        assert torch.allclose(moved[index], expected, atol=0.05)


@pytest.mark.parametrize("name", ["rotation", "translation", "scale", "shear"])
def test_each_strength_moves_alone(name: str) -> None:
    strength = NONE.model_copy(update={name: 0.5, "interpolation": "bilinear"})
    moved = augment(images(8), strength, seeded())
    assert not torch.equal(moved, images(8))


def test_angles_fill_the_range_evenly() -> None:
    bar = torch.zeros(1, 1, 28, 28)
    bar[0, 0, 13:15, 2:26] = 255
    strength = Augment(rotation=30, translation=0, scale=0, shear=0, interpolation="bilinear")
    moved = augment(bar.expand(400, -1, -1, -1), strength, seeded())[:, 0]
    rows = torch.arange(28.0)
    ends = moved[:, :, [5, 22]]
    heights = (ends * rows.view(1, 28, 1)).sum(1) / ends.sum(1)
    angles = torch.rad2deg(torch.atan((heights[:, 1] - heights[:, 0]) / 17))
    assert 28 < angles.max() < 31
    assert -31 < angles.min() < -28
    assert abs(angles.mean()) < 3


@pytest.mark.parametrize(("count", "size"), [(300, 64), (2100, 100), (1500, 1200)])
def test_batches_show_every_image_once_with_its_label(count: int, size: int) -> None:
    split = digits.split(count)
    found = list(batches(split, size, NONE, seeded()))
    sizes = [len(labels) for _, labels in found]
    assert sizes[:-1] == [size] * (len(sizes) - 1)
    assert sum(sizes) == count
    plain = split.normalisation(split.images.unsqueeze(1))
    shown = torch.cat([images for images, _ in found])
    labels = torch.cat([labels for _, labels in found])

    def pairs(images: torch.Tensor, labels: torch.Tensor) -> list[tuple[bytes, int]]:
        return sorted(zip((i.numpy().tobytes() for i in images), labels.tolist(), strict=True))

    assert pairs(shown, labels) == pairs(plain, split.labels)
    assert not torch.equal(shown, plain), "in random order"


def test_batches_move_their_images() -> None:
    split = digits.split(64)
    moved = torch.cat([images for images, _ in batches(split, 64, SMOOTH, seeded())])
    still = torch.cat([images for images, _ in batches(split, 64, NONE, seeded())])
    assert not torch.equal(moved, still)
