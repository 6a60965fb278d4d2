"""Properties of augmentation and of the batches that it is part of."""

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine, rotate

from digits.core.config import Augmentation
from digits.training.augment import augment, fork
from digits.training.batches import batches
from tests import drawn
from tests.unit.networks import seeded

NONE = Augmentation()
DESCRIBED = Augmentation(rotation=10, translation=0.1)
SMOOTH = Augmentation(rotation=10, translation=0.1, interpolation="bilinear")
AFFINE = Augmentation(rotation=20, translation=0.1, scale=0.2, shear=15, interpolation="bilinear")
ORIGINALS = drawn.split(64).images.unsqueeze(1).float()


def test_zero_strength_is_the_identity_and_draws_nothing() -> None:
    rng = seeded()
    assert torch.equal(augment(ORIGINALS, NONE, rng), ORIGINALS)
    assert torch.equal(rng.get_state(), seeded().get_state())


@pytest.mark.parametrize("augmentation", [DESCRIBED, SMOOTH, AFFINE])
def test_each_image_moves_by_its_own_seeded_amount(augmentation: Augmentation) -> None:
    copies = ORIGINALS[:1].expand(16, -1, -1, -1)
    moved = augment(copies, augmentation, seeded())
    assert torch.equal(moved, augment(copies, augmentation, seeded()))
    assert not torch.equal(moved, augment(copies, augmentation, seeded(1)))
    assert len(torch.unique(moved, dim=0)) == 16
    assert (moved.shape, moved.dtype) == ((16, 1, 28, 28), torch.float32)
    assert 0 <= moved.min() <= moved.max() <= 255 * (1 + 1e-6)  # rounding


@pytest.mark.parametrize("name", ["rotation", "translation", "scale", "shear"])
def test_each_amount_moves_alone(name: str) -> None:
    alone = NONE.model_copy(update={name: 0.5, "interpolation": "bilinear"})
    assert not torch.equal(augment(ORIGINALS, alone, seeded()), ORIGINALS)


def test_nearest_invents_no_grey_values() -> None:
    moved = augment(ORIGINALS, DESCRIBED, seeded())
    assert set(moved.unique().tolist()) <= set(ORIGINALS.unique().tolist())


def test_the_moves_are_torchvisions() -> None:
    random = torch.rand(64, 5, generator=seeded(3)) * 2 - 1
    nearest, bilinear = (augment(ORIGINALS, each, seeded(3)) for each in (DESCRIBED, AFFINE))
    for index, (turn, across, down, size, slant) in enumerate(random.tolist()):
        original, shift = ORIGINALS[index], [2.8 * across, 2.8 * down]
        turned = rotate(original, -10 * turn, InterpolationMode.NEAREST)
        pixels = [round(each) for each in shift]
        expected = affine(turned, 0.0, pixels, 1.0, [0.0, 0.0], InterpolationMode.NEAREST)
        # a pixel that falls halfway between two may be rounded either way
        assert (nearest[index] != expected).sum() <= 2
        shear, smooth = [15 * slant, 0.0], InterpolationMode.BILINEAR
        expected = affine(original, 20 * turn, shift, 1 + 0.2 * size, shear, smooth)
        assert torch.allclose(bilinear[index], expected, atol=0.05)


def numbers(rng: torch.Generator) -> tuple[float, ...]:
    return tuple(torch.rand(4, generator=rng).tolist())


def test_a_fork_depends_on_purpose_and_state_and_does_not_advance_its_parent() -> None:
    rng = seeded()
    noise = numbers(fork(rng, "noise"))
    assert numbers(fork(rng, "noise")) == noise
    assert len({noise, numbers(fork(rng, "blur")), numbers(seeded())}) == 3
    assert torch.equal(rng.get_state(), seeded().get_state())


def test_a_fork_advances_with_its_parent_and_is_restored_with_it() -> None:
    rng, forks, states = seeded(), [], []
    for _ in range(3):
        states.append(rng.get_state())
        forks.append(numbers(fork(rng, "noise")))
        torch.rand(1, generator=rng)
    assert len(set(forks)) == 3
    for state, before in zip(states, forks, strict=True):
        rng.set_state(state)
        assert numbers(fork(rng, "noise")) == before


@pytest.mark.parametrize(("count", "size"), [(300, 64), (2100, 100), (1500, 1200)])
def test_batches_hold_every_image_once_with_its_label(count: int, size: int) -> None:
    split = drawn.split(count)
    images, labels = zip(*batches(split, size, NONE, seeded()), strict=True)
    assert not any(len(each) % size for each in labels[:-1]), "only the last batch is smaller"
    original = split.normalisation(split.images.unsqueeze(1))

    def pairs(images: torch.Tensor, labels: torch.Tensor) -> list[tuple[bytes, int]]:
        return sorted(zip((i.numpy().tobytes() for i in images), labels.tolist(), strict=True))

    assert pairs(torch.cat(images), torch.cat(labels)) == pairs(original, split.labels)
    assert not torch.equal(torch.cat(images), original), "in random order"
    moved, _ = next(batches(split, size, SMOOTH, seeded()))
    assert not torch.equal(moved, images[0])
