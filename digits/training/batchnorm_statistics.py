"""BatchNorm statistics of images as evaluation sees them."""

from digits.core.data_shape import channels_first
from digits.core.split import Split
from digits.training.trainer import Trainer

BATCH = 1000  # images; large, so that the mean of the batches' variances is close to that of all


def recompute(trainer: Trainer, split: Split, count: int) -> None:
    """Replace BatchNorm's running statistics by those of the first `count` images of a split.

    Training augments its images, evaluation does not, so running averages describe the wrong
    images. The statistics are averaged over batches (Wu and Johnson 2021,
    https://arxiv.org/abs/2105.07576, section 3). Weights do not change, and nothing is drawn.
    """
    shown = channels_first(split.images[:count])
    for number, images in enumerate(shown.tensor_split(-(-len(shown) // BATCH)), start=1):
        # this share makes the running average the mean of the batches so far
        trainer.collect_statistics(split.normalisation(images), 1 / number)
