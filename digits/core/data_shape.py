"""What images and labels are, in one place; light to import, so that prediction needs no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

DIGITS = tuple("0123456789")
IMAGE_SIZE = 28  # pixels, height and width of MNIST's images
SIZES = range(8, 65)  # heights and widths that the network reads
MAX_CLASSES = 1000


@dataclass(frozen=True)
class DataShape:
    """What a network reads and answers; MNIST's by default.

    size: height and width in pixels. channels: 1 for grey, 3 for red, green and blue. classes: the
    names of the labels 0, 1, ... fit: how a picture of another form is brought to this one (`pad`,
    `crop` or `stretch`); None for digits, which are found in a picture and centred.

    Raw images are uint8, `(N, size, size)` if they are grey, otherwise `(N, size, size, 3)`.
    """

    size: int = IMAGE_SIZE
    channels: int = 1
    classes: tuple[str, ...] = DIGITS
    fit: str | None = None

    def __post_init__(self) -> None:
        if self.size not in SIZES or self.channels not in (1, 3):
            raise ValueError(f"{self.channels} channels of {self.size}x{self.size} pixels")
        if not 2 <= len(set(self.classes)) == len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"{len(self.classes)} names of classes")
        if self.fit not in (None, "pad", "crop", "stretch"):
            raise ValueError(f"fit {self.fit!r}")

    @property
    def is_drawn(self) -> bool:
        """Whether a picture is searched for ink, which becomes an image in the form of MNIST's."""
        return self.fit is None and (self.size, self.channels) == (IMAGE_SIZE, 1)

    def images(self, count: int) -> tuple[int, ...]:
        """The shape of so many raw images."""
        return (count, self.size, self.size, 3)[: 3 if self.channels == 1 else 4]

    def __str__(self) -> str:
        colour = "grey" if self.channels == 1 else "colour"
        return f"{self.size}x{self.size} {colour} pixels and {len(self.classes)} classes"


MNIST = DataShape()


def channels_first(images: "Tensor") -> "Tensor":
    """Raw images, `(N, H, W)` or `(N, H, W, 3)`, as the `(N, channels, H, W)` that layers read."""
    return images.unsqueeze(1) if images.ndim == 3 else images.movedim(3, 1)


def normalise(images: "Tensor", mean: float, std: float) -> "Tensor":
    """Images of 0 to 255, any dtype and shape, as float32 of mean 0 and deviation 1.

    Mean and standard deviation are those of the training split, with black 0 and white 1.
    """
    return images.float().sub(255 * mean).div_(255 * std)
