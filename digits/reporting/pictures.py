"""Pictures of digits as PNG bytes; the same digits give the same bytes."""

import io
from collections.abc import Sequence

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.rcdefaults()  # a user's matplotlibrc must not change the bytes

INK = "#222222"
FRAME = "#cccccc"
ACCENT = "#0072b2"  # the blue of Okabe and Ito's palette for colour-blind readers


def worst_errors(
    images: torch.Tensor, labels: Sequence[int], predicted: Sequence[int], losses: Sequence[float]
) -> bytes:
    """A grid of misread digits, each with its label, its prediction and its loss.

    Args:
        images: uint8 `(N, 28, 28)`, N up to 40, worst first.
        labels: N digits.
        predicted: N digits.
        losses: cross-entropy in nats, N values.
    """
    columns, count = 8, len(images)
    rows = max(1, -(-count // columns))
    title = f"The {count} worst errors on the test set" if count else "No errors on the test set"
    figure = _figure(columns * 1.15, rows * 1.55 + 0.5, title)
    for position in range(count):
        axes = figure.add_subplot(rows, columns, position + 1)
        _draw(axes, images[position])
        axes.set_title(f"{labels[position]}, read as {predicted[position]}", fontsize=10, color=INK)
        axes.set_xlabel(f"loss {losses[position]:.1f}", fontsize=8, color=INK)
    return png(figure)


def augmented(originals: torch.Tensor, moved: torch.Tensor, title: str) -> bytes:
    """A row for each digit: the original, framed, then its augmented versions.

    Args:
        originals: `(N, 28, 28)`, 0 to 255.
        moved: `(N, K, 28, 28)`, 0 to 255.
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
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def _draw(axes: Axes, image: torch.Tensor) -> None:
    axes.imshow(image.numpy(), cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for edge in axes.spines.values():
        edge.set_color(FRAME)


def png(figure: Figure) -> bytes:
    """The figure's bytes, without the drawing program's name and version."""
    packed = io.BytesIO()
    figure.savefig(packed, format="png", metadata={"Software": None}, facecolor="white")
    return packed.getvalue()
