"""The described recipe as a plain torchvision script.

A Dataset of PIL images, per-image transforms, a DataLoader, a Sequential in NCHW with ReLU before
the pool: what most people would write first. It shares only the recipe's numbers with this project,
and does not import digits, which would pin instruction sets. `python -m
tools.benchmarks.plain_script IMAGES EPOCHS WORKERS` prints one JSON object with `seconds`.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

RAW = Path(__file__).parents[2] / "data/raw"

MEAN, STD = 0.1307, 0.3081
AUGMENTATION = [transforms.RandomRotation(10), transforms.RandomAffine(0, translate=(0.1, 0.1))]


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """The work of torchvision.datasets.MNIST for each image, on arrays that are in memory."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels
        normalise = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
        self.transform = transforms.Compose([*AUGMENTATION, *normalise])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image: torch.Tensor = self.transform(Image.fromarray(self.images[index].numpy()))  # pyright: ignore
        return image, int(self.labels[index])


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
    dataset: Pictures,
    epochs: int,
    workers: int,
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


def read(name: str, header: int) -> torch.Tensor:
    """The bytes of an IDX file after its header, uint8."""
    content = gzip.decompress((RAW / f"{name}-ubyte.gz").read_bytes())
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header).copy())


def main(images: int, epochs: int, workers: int) -> dict[str, float]:
    """Train with seed 0 on the first `images` images."""
    torch.manual_seed(0)
    pixels, labels = read("train-images-idx3", 16).view(-1, 28, 28), read("train-labels-idx1", 8)
    dataset = Pictures(pixels[:images], labels[:images])
    train(Pictures(pixels[:1280], labels[:1280]), 1, workers)
    begun = time.perf_counter()
    train(dataset, epochs, workers)
    return {"seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
