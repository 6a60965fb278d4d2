"""Hold some pictures out, by class, with near-duplicates on one side."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from digits.core.data_shape import channels_first

Numbers = npt.NDArray[np.int64]

THUMBNAIL = 8  # pixels, height and width
NEAR = 4 * THUMBNAIL**2  # squared distance: two grey levels of 255 in every pixel
AT_ONCE = 500  # thumbnails compared with all others


def near_duplicates(images: npt.NDArray[np.uint8]) -> Numbers:
    """The number of each image's group: `(N,)`. Images whose thumbnails are near share one.

    A picture that was saved again, or scaled, keeps its thumbnail. Every step is exact in float32,
    so groups are the same on every machine. The time grows with the square of N: 60,000 images take
    half a minute.

    Args:
        images: raw, uint8.
    """
    small = [_thumbnails(part) for part in torch.from_numpy(images).split(AT_ONCE)]
    thumbnails, place = np.unique(torch.cat(small).numpy(), axis=0, return_inverse=True)
    squares = (thumbnails**2).sum(1)
    edges = list[Numbers]()
    for begin in range(0, len(thumbnails), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        rest = thumbnails[begin:]
        distance = squares[part, None] + squares[None, begin:] - 2 * thumbnails[part] @ rest.T
        edges.append(np.argwhere(distance <= NEAR) + begin)
    near = np.concatenate(edges)
    matrix = coo_array((np.ones(len(near), bool), (near[:, 0], near[:, 1])), 2 * [len(thumbnails)])
    groups = connected_components(matrix, directed=False)[1]
    return groups[place.ravel()].astype(np.int64)


def _thumbnails(images: torch.Tensor) -> torch.Tensor:
    """Whole grey levels of 0 to 255, float32 `(N, 64)`."""
    grey = channels_first(images).double().mean(1, keepdim=True)
    return F.adaptive_avg_pool2d(grey, THUMBNAIL).round().flatten(1).float()


def held_out(
    labels: npt.NDArray[np.integer], groups: Numbers, digests: Sequence[str], count: int, seed: int
) -> npt.NDArray[np.bool_]:
    """Which images to hold out: about `count`, each class by its share, whole groups only.

    The order in which groups are taken depends on the seed and their content alone: another picture
    or another name changes little. Of every class, at least one group stays.

    Args:
        labels: `(N,)`.
        groups: `(N,)`, as `near_duplicates` numbers them.
        digests: one for each image.
        count: how many of the N.
        seed: draws which.
    """
    chosen = np.zeros(len(labels), bool)
    members = dict[int, list[int]]()
    for place, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(place)
    drawn = sorted(
        members.values(),
        key=lambda places: hashlib.sha256(
            f"{seed} {min(digests[place] for place in places)}".encode()
        ).digest(),
    )
    for label in np.unique(labels):
        own = [places for places in drawn if labels[places[0]] == label]
        room = round(count * int((labels == label).sum()) / len(labels))
        for places in own[1:]:
            if len(places) <= room:
                chosen[places] = True
                room -= len(places)
    return chosen
