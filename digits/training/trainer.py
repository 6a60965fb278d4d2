"""How a network is trained and run: step by step in torch, or in the CPU's fast path."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from digits.core.data_shape import channels_first
from digits.core.split import Normalisation
from digits.network import model_file
from digits.network.digitnet import DigitNet
from digits.network.fast.path import FastPath, is_supported
from digits.training.batches import AT_ONCE
from digits.training.metrics import loss
from digits.training.optimizer import Adam


class Trainer(ABC):
    """Trains a network in place; images are normalised float32 `(N, channels, H, W)`."""

    def __init__(self, network: DigitNet, optimizer: Adam) -> None:
        self.network, self.optimizer = network, optimizer

    @abstractmethod
    def train(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
        """Start to take a step for every batch of the images.

        Args:
            images: batches of `train.batch_size`, one after the other; the last may be smaller.
            labels: integer `(N,)`.
            rng: draws the dropout masks.

        Returns:
            Logits `(N, classes)`, of the weights before each step. They and the network are ready
            after `finish`.
        """

    @abstractmethod
    def finish(self) -> None:
        """Wait for all steps that were started."""

    @abstractmethod
    def collect_statistics(self, images: Tensor, momentum: float) -> None:
        """Move BatchNorm's running statistics by this share towards those of the images."""

    @abstractmethod
    def classify(self, images: Tensor, normalisation: Normalisation) -> Tensor:
        """Logits float32 `(N, classes)` of raw images uint8, as in evaluation."""


def trainer_of(network: DigitNet, optimizer: Adam) -> Trainer:
    """The fast path where the machine, the device and every layer allow it."""
    kind = FastTrainer if is_supported(network) else TorchTrainer
    return kind(network, optimizer)


class TorchTrainer(Trainer):
    """Torch's own layers and gradients, on any device."""

    def train(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
        self.network.train()
        size = self.optimizer.config.batch_size
        batches = zip(images.split(size), labels.split(size), strict=True)
        return torch.cat([self._step(*batch, rng) for batch in batches])

    def _step(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
        self.optimizer.zero_grad()
        logits = self.network(images, rng)
        loss(logits, labels).backward()
        self.optimizer.step()
        return logits.detach()

    def finish(self) -> None:
        pass

    @torch.no_grad()
    def collect_statistics(self, images: Tensor, momentum: float) -> None:
        norms = [each for each in self.network.modules() if isinstance(each, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = momentum
        self.network.train()
        self.network.dropout.eval()  # it stands after every BatchNorm
        self.network(images)
        self.network.dropout.train()
        for norm, before in zip(norms, momenta, strict=True):
            norm.momentum = before

    def classify(self, images: Tensor, normalisation: Normalisation) -> Tensor:
        return model_file.classify(self.network, images, normalisation)


class FastTrainer(Trainer):
    """Native code on a CPU; it draws the same random numbers as torch does."""

    def __init__(self, network: DigitNet, optimizer: Adam) -> None:
        super().__init__(network, optimizer)
        self._path = FastPath(network, optimizer.first, optimizer.second)

    def train(self, images: Tensor, labels: Tensor, rng: torch.Generator) -> Tensor:
        config, dropout = self.optimizer.config, self.network.dropout
        batches = images.split(config.batch_size)
        masks = [
            dropout.mask((len(batch), features), rng, images.device).flatten()
            for batch in batches if dropout.p
            for features in self._path.masked
        ]  # fmt: skip
        return self._path.train(
            images,
            labels,
            config.batch_size,
            torch.cat(masks) if masks else images.new_zeros(0),
            self.optimizer.advance(len(batches)),
            config.weight_decay,
        )

    def finish(self) -> None:
        self._path.finish()

    def collect_statistics(self, images: Tensor, momentum: float) -> None:
        self._path.collect_statistics(images, momentum)

    def classify(self, images: Tensor, normalisation: Normalisation) -> Tensor:
        batches = channels_first(images).split(AT_ONCE)
        return torch.cat([self._path.classify(normalisation(batch)) for batch in batches])
