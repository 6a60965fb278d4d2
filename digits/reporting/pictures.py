"""Pictures of images as PNG bytes; the same images give the same bytes."""

import io
import textwrap
import warnings
from collections.abc import Sequence

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.rcdefaults()  # a user's matplotlibrc must not change the bytes

INK = "#222222"
FRAME = "#cccccc"
WRITTEN = 18  # characters of a name
ACCENT = "#0072b2"  # the blue of Okabe and Ito's palette for colour-blind readers


def worst_errors(
    images: torch.Tensor,
    labels: Sequence[str],
    predicted: Sequence[str],
    losses: Sequence[float],
    files: Sequence[str] = (),
) -> bytes:
    """A grid of misread images, each with its label, its prediction and its loss.

    Args:
        images: raw, uint8, N up to 40, worst first.
        labels: N names of classes.
        predicted: N names of classes.
        losses: cross-entropy in nats, N values.
        files: N names, shown below; or none.
    """
    columns, count = 8, len(images)
    rows = max(1, -(-count // columns))
    title = f"The {count} worst errors on the test set" if count else "No errors on the test set"
    is_wide = any(len(name) > 1 for name in [*labels, *predicted])
    width, height = (1.5, 1.95) if is_wide else (1.15, 1.55)
    height += 0.35 * bool(files)
    figure = _figure(columns * width, rows * height + 0.5, title)
    for position in range(count):
        axes = figure.add_subplot(rows, columns, position + 1)
        _draw(axes, images[position])
        label, answer = _short(labels[position]), _short(predicted[position], WRITTEN - 6)
        words = f"{label},\nread as {answer}" if is_wide else f"{label}, read as {answer}"
        axes.set_title(words, fontsize=9 if is_wide else 10, color=INK, parse_math=False)
        below = f"loss {losses[position]:.1f}"
        below += f"\n{_short(files[position])}" if files else ""
        axes.set_xlabel(below, fontsize=8, color=INK, parse_math=False)
    return png(figure)


def by_class(images: Sequence[torch.Tensor], classes: Sequence[str], title: str) -> bytes:
    """A row for each class: its name, and some of its images.

    Args:
        images: for each class raw images, uint8; at least one.
        classes: their names.
        title: of the whole.
    """
    rows, columns = len(images), max(map(len, images))
    figure = _figure(columns * 0.8 + 1.2, rows * 0.8 + 0.7, title)
    for row, shown in enumerate(images):
        for column, image in enumerate(shown):
            axes = figure.add_subplot(rows, columns, row * columns + column + 1)
            _draw(axes, image)
            if column == 0:
                axes.set_ylabel(
                    _short(classes[row]), fontsize=9, color=INK, rotation=0, ha="right",
                    va="center", parse_math=False,
                )  # fmt: skip
    return png(figure)


def _short(name: str, width: int = WRITTEN) -> str:
    """The end of a name, which tells files apart."""
    return name if len(name) <= width else f"...{name[3 - width :]}"


def augmented(originals: torch.Tensor, moved: torch.Tensor, title: str) -> bytes:
    """A row for each class: an original, framed, then its augmented versions.

    Args:
        originals: N raw images, 0 to 255.
        moved: K of each, so `(N, K, ...)`, 0 to 255.
        title: the amounts of augmentation.
    """
    rows, columns = moved.shape[0], moved.shape[1] + 1
    figure = _figure(columns * 0.8, rows * 0.8 + 0.7, title)
    for row in range(rows):
        for column in range(columns):
            axes = figure.add_subplot(rows, columns, row * columns + column + 1)
            _draw(axes, moved[row, column - 1] if column else originals[row])
            if column == 0:
                for edge in axes.spines.values():
                    edge.set(color=ACCENT, linewidth=2)
            if row == 0 and column < 2:
                name = "augmented" if column else "original"
                axes.set_title(name, fontsize=9, color=INK if column else ACCENT)
    return png(figure)


def _figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained", dpi=100)
    lines = textwrap.fill(title, int(9 * width))
    figure.suptitle(lines, fontsize=12, color=INK)
    return figure


def _draw(axes: Axes, image: torch.Tensor) -> None:
    pixels = image.round().clamp(0, 255).byte() if image.ndim == 3 else image  # or it warns
    axes.imshow(pixels.numpy(), cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for edge in axes.spines.values():
        edge.set_color(FRAME)


def png(figure: Figure) -> bytes:
    """The figure's bytes, without the drawing program's name and version."""
    packed = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that the font lacks
        figure.savefig(packed, format="png", metadata={"Software": None}, facecolor="white")
    return packed.getvalue()
