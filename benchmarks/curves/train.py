"""A small CNN on scans of handwritten digits, with few images to learn from: the trial whose
learning curves `record.py` records. One step is one epoch.

449 of scikit-learn's 1,797 images train, 899 validate: so that configurations differ.
"""

import itertools
import time

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import shoal

DEFAULTS = {"lr": 0.03, "momentum": 0.9, "batch": 32, "width": 8, "dropout": 0.2}


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images (N, 1, 8, 8) in [0, 1] and labels (N,): to train on, then to validate on."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    train, valid = order[:449], order[449 : 449 + 899]
    return images[train], labels[train], images[valid], labels[valid]


def network(width: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(2 * width * 16, 10),
    )  # fmt: skip


def main() -> None:
    run = shoal.init(hyperparameters=DEFAULTS, max_time=4)
    hp = run.hyperparameters
    torch.manual_seed(run.seed)
    images, labels, valid_images, valid_labels = data()
    model = network(hp["width"], hp["dropout"])
    optimizer = torch.optim.SGD(model.parameters(), lr=hp["lr"], momentum=hp["momentum"])
    for epoch in itertools.count(1):
        began = time.perf_counter()
        model.train()
        for part in torch.randperm(len(images)).split(hp["batch"]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            guess = model(valid_images)
            accuracy = (guess.argmax(1) == valid_labels).float().mean()
            loss = nn.functional.cross_entropy(guess, valid_labels)
        seconds = time.perf_counter() - began
        run.report(step=epoch, accuracy=accuracy, loss=loss, seconds=seconds)
        if run.should_stop():
            break


if __name__ == "__main__":
    main()
