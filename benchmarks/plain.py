"""The described recipe as a plain torchvision script has it: what users would write first.

A Dataset of PIL images, per-image transforms, a DataLoader, a Sequential in NCHW with ReLU before
the pool. It shares nothing with stages/ but the numbers of the recipe.
"""

from collections.abc import Callable

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

MEAN, STD = 0.1307, 0.3081
MOVES = [transforms.RandomRotation(10), transforms.RandomAffine(0, translate=(0.1, 0.1))]


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """What torchvision.datasets.MNIST does for each image, on arrays that are in memory."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels
        normalise = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
        self.transform = transforms.Compose([*MOVES, *normalise])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[index].numpy())
        return self.transform(image), int(self.labels[index])


class Tensors(TensorDataset):
    """Normalised tensors made beforehand; the same transforms, on a tensor at a time."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        super().__init__((images.unsqueeze(1) / 255 - MEAN) / STD, labels.long())
        background = -MEAN / STD
        self.transform = transforms.Compose(
            [
                transforms.RandomRotation(10, fill=background),
                transforms.RandomAffine(0, translate=(0.1, 0.1), fill=background),
            ]
        )

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        image, label = super().__getitem__(index)
        return self.transform(image), label


def network() -> nn.Sequential:
    """The described network."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.4), nn.Flatten(), nn.Linear(288, 32), nn.ReLU(), nn.Dropout(0.4),
        nn.Linear(32, 10),
    )  # fmt: skip


def train(
    dataset: Dataset[tuple[torch.Tensor, ...]],
    epochs: int,
    workers: int,
    after_epoch: Callable[[nn.Sequential], None] = lambda model: None,
) -> None:
    """Train for `epochs` with `workers` processes that load."""
    loader = DataLoader(
        dataset, 128, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    model, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=0.003,
        total_steps=epochs * len(loader),
        pct_start=0.2,
        div_factor=10,
        final_div_factor=100,
    )
    for _ in range(epochs):
        model.train()
        total, correct = 0.0, 0
        for images, labels in loader:
            optimizer.zero_grad()
            logits = model(images)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(labels)
            correct += int((logits.argmax(1) == labels).sum())
        after_epoch(model)
