"""BatchNorm statistics of images as evaluation sees them."""

import torch
from torch import nn

from digits.core.split import Split
from digits.network.digitnet import DigitNet

BATCH = 1000  # images; large, so that the mean of the batches' variances is close to that of all


@torch.no_grad()
def recompute(network: DigitNet, split: Split, count: int) -> None:
    """Replace BatchNorm's running statistics by those of the first `count` images of a split.

    Training augments its images, evaluation does not, so running averages describe the wrong
    images. The statistics are averaged over batches (Wu and Johnson 2021,
    https://arxiv.org/abs/2105.07576, section 3). Weights do not change, nothing is drawn, and the
    network is left in training mode.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.train()
    network.dropout.eval()  # it stands after every BatchNorm
    shown = split.images[:count].unsqueeze(1)
    for number, images in enumerate(shown.tensor_split(-(-len(shown) // BATCH)), start=1):
        for norm in norms:
            norm.momentum = 1 / number  # makes the running average the mean so far
        network(split.normalisation(images))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.dropout.train()
