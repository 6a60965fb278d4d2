"""Which images to show: the worst errors, some of each class, and what augmentation does."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from digits.core.config import Augmentation
from digits.core.data_shape import channels_first
from digits.core.split import Split
from digits.reporting import pictures
from digits.training.augment import augment

ERRORS_SHOWN = 40
VERSIONS_SHOWN = 9  # augmented, of each class
EXAMPLES_SHOWN = 10  # of each class
CLASSES_SHOWN = 20


def draw_errors(test: Split, logits: torch.Tensor, names: Sequence[str]) -> bytes:
    """The misread images of highest loss, as PNG; `names` are their files, or nothing."""
    losses = F.cross_entropy(logits, test.labels.long(), reduction="none")
    predicted = logits.argmax(1)
    wrong = (predicted != test.labels).nonzero().flatten()
    worst = wrong[losses[wrong].argsort(descending=True, stable=True)][:ERRORS_SHOWN]
    classes = test.shape.classes
    return pictures.worst_errors(
        test.images[worst],
        [classes[label] for label in test.labels[worst].tolist()],
        [classes[label] for label in predicted[worst].tolist()],
        losses[worst].tolist(),
        [names[int(place)] for place in worst] if names else (),
    )


def draw_augmentation(test: Split, augmentation: Augmentation) -> bytes:
    """The first example of each class beside its augmented versions, as PNG."""
    labels = test.labels.unique()[:CLASSES_SHOWN]
    first = torch.stack([(test.labels == label).nonzero()[0, 0] for label in labels])
    originals = test.images[first]
    repeated = channels_first(originals).float().repeat_interleave(VERSIONS_SHOWN, 0)
    augmented = augment(repeated, augmentation, torch.Generator().manual_seed(0))
    if test.shape.channels > 1:
        augmented = augmented.movedim(1, 3)
    rows = augmented.reshape(len(first), VERSIONS_SHOWN, *originals.shape[1:])
    title = str(augmentation).capitalize() or "No augmentation"
    return pictures.augmented(originals, rows, title)


def draw_training_data(train: Split) -> bytes:
    """The first training images of each class, as PNG."""
    labels = train.labels.unique()[:CLASSES_SHOWN].tolist()
    shown = [train.images[train.labels == label][:EXAMPLES_SHOWN] for label in labels]
    count = len(train.shape.classes)
    some = "" if len(labels) == count else f", {len(labels)} of {count} classes"
    names = [train.shape.classes[label] for label in labels]
    return pictures.by_class(shown, names, f"Training images{some}")
