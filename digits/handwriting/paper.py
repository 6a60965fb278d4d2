"""Tell ink from paper: how far each pixel of a picture is from the paper that it lies on."""

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from digits.core.errors import UserError

Levels = npt.NDArray[np.float32]

FAINT = 16 / 255  # contrast, of black on white, below which there is nothing to read
SMALL = 40  # pixels; in a picture with a shorter side, light is even and there is no noise
NOISE = 3  # standard deviations
MEDIAN = 0.954  # of the difference of two normal values, in standard deviations of each
TWO_LEVELS = 0.84  # share of the variance that two levels explain, if there are no more than two
END = 0.15  # share of the contrast that the two levels may be away from black and white
LARGE = 0.3  # a share of the area from which the darker part can be a large digit
GRID = 64  # samples along each side, for a plane
STEPS = 15  # of reweighting; residuals below a thousandth count as such
BETTER = 0.5  # a paper of more freedom is taken if it leaves less than so much
BLOCKS = 56  # along the side of a square picture, for a median
WINDOW = 0.35  # side of the median's window, as a share of the picture's


def ink_of(grey: Levels) -> tuple[Levels, float]:
    """The ink of each pixel, from grey levels of 0 to 1: its distance from the paper, at least 0.

    The paper is darker or brighter than the ink, all over the picture. It has one level if two
    levels explain the picture; else, where light falls off, it is a plane, and where that is not
    enough, the median of the surroundings.

    Returns:
        Ink, float32 `(H, W)`, and the level below which it is noise of the paper.

    Raises:
        UserError: nothing stands out from the paper.
    """
    paper, is_dark = paper_of(grey)
    apart = paper - grey if is_dark else grey - paper
    noise = 0.0 if min(grey.shape) < SMALL else _noise(grey)
    if apart.max() < max(FAINT, 2 * noise):
        raise UserError("nothing is drawn on it: no part of it stands out from the paper")
    return apart.clip(0), noise


def paper_of(grey: Levels) -> tuple[Levels | np.float32, bool]:
    """The level of even paper, or that of each pixel; and whether the ink on it is darker."""
    level, is_dark = _two_levels(grey)
    if level is not None:
        return level, is_dark
    best = np.full_like(grey, np.median(grey))
    for paper in (_plane(grey), _surroundings(grey)):
        if _rest(grey - paper) < BETTER * _rest(grey - best) - 0.005:
            best = paper
    return best, bool(((grey - best).astype(float) ** 3).sum() < 0)


def threshold(levels: Levels) -> float:
    """Otsu's threshold, which divides levels of 0 and more where that explains most variance.

    A Threshold Selection Method from Gray-Level Histograms, Otsu 1979; 256 bins.
    """
    top = float(levels.max())
    counts = np.histogram(levels, 256, (0, top))[0].astype(float)
    middles = (np.arange(256) + 0.5) * top / 256
    below, sums = counts.cumsum()[:-1], (counts * middles).cumsum()[:-1]
    total, sum_of_all = counts.sum(), (counts * middles).sum()
    between = (sum_of_all * below / total - sums) ** 2
    weights = below * (total - below)
    between = np.divide(between, weights, out=np.zeros_like(between), where=weights > 0)
    return (int(between.argmax()) + 1) * top / 256


def _two_levels(grey: Levels) -> tuple[np.float32 | None, bool]:
    """The level of even paper, None if the picture has more than two; and if ink is darker.

    What covers most of the picture is paper. A digit that fills the picture may cover as much;
    then what covers most of its border is.
    """
    low = float(grey.min())
    if float(grey.max()) == low:
        return np.float32(low), True
    dark = grey <= low + threshold(grey - low)
    levels = [np.float32(np.median(grey[part])) for part in (dark, ~dark)]
    share = float(dark.mean())
    distance = float(grey[~dark].mean() - grey[dark].mean())
    explained = share * (1 - share) * distance**2 / float(grey.var())
    first, last = np.quantile(grey, [0.01, 0.99])
    is_end = max(levels[0] - first, last - levels[1]) < END * (last - first)
    if LARGE < share < 1 - LARGE:
        share = float(np.concatenate([dark[0], dark[-1], dark[1:-1, 0], dark[1:-1, -1]]).mean())
    is_even = min(grey.shape) < SMALL or (explained > TWO_LEVELS and is_end)
    return (levels[share <= 0.5] if is_even else None), share <= 0.5


def _plane(grey: Levels) -> Levels:
    """The plane of least absolute deviations, by iteratively reweighted least squares."""
    rows, columns = (
        np.linspace(0, side - 1, min(side, GRID)).round().astype(int) for side in grey.shape
    )
    down, right = (np.linspace(-1, 1, side) for side in grey.shape)
    y, x = (each.ravel() for each in np.meshgrid(down[rows], right[columns], indexing="ij"))
    levels = grey[np.ix_(rows, columns)].ravel().astype(float)
    places = np.stack([np.ones_like(y), y, x], 1)
    plane = np.array([np.median(levels), 0, 0])
    for _ in range(STEPS):
        weighted = places / np.maximum(np.abs(levels - places @ plane), 1e-3)[:, None]
        plane = np.linalg.solve(weighted.T @ places, weighted.T @ levels)
    return (plane[0] + plane[1] * down[:, None] + plane[2] * right).astype(np.float32)


def _surroundings(grey: Levels) -> Levels:
    """The median of a window around each place, taken on blocks of pixels."""
    height, width = grey.shape
    block = max(1, round(grey.size**0.5 / BLOCKS))
    size = max(1, width // block), max(1, height // block)
    blocks = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    window = int(max(3, min(WINDOW * blocks.size**0.5, *blocks.shape))) | 1
    medians = ndimage.median_filter(blocks, window, mode="nearest")
    return np.asarray(Image.fromarray(medians).resize((width, height), Image.Resampling.BILINEAR))


def _noise(grey: Levels) -> float:
    """How far noise of the paper goes, from the differences of neighbours."""
    return NOISE * float(np.median(np.abs(grey[:, 1:] - grey[:, :-1]))) / MEDIAN


def _rest(apart: Levels) -> float:
    """What a paper leaves unexplained: the third quartile of the absolute values."""
    return float(np.quantile(np.abs(apart), 0.75))
