"""A small CNN on scans of handwritten digits (scikit-learn's, real images inside its wheel).

One step is one epoch. Runs under Shoal on any number of slots, and by itself:
`python train.py` trains a few epochs on this machine.
"""

import itertools

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

import shoal

DEFAULTS = {
    "lr": 0.05, "width": 16, "dropout": 0.1, "weight_decay": 1e-4, "activation": "relu",
    "batch": 64,
}  # fmt: skip
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def data() -> tuple[TensorDataset, TensorDataset]:
    """Images as float tensors (N, 1, 8, 8) in [0, 1], split 3:1 by a fixed seed."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    cut = len(labels) * 3 // 4
    train, valid = order[:cut], order[cut:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[valid], labels[valid])


def network(width: int, dropout: float, activation: str) -> nn.Module:
    act = ACTIVATIONS[activation]
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), act(),
        nn.Conv2d(width, 2 * width, 3, padding=1), act(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(2 * width * 16, 10),
    )  # fmt: skip


def main() -> None:
    run = shoal.init(hyperparameters=DEFAULTS, max_time=4)
    hp = run.hyperparameters
    torch.manual_seed(run.seed)
    train, valid = data()
    model = network(hp["width"], hp["dropout"], hp["activation"]).to(run.device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=hp["lr"], momentum=0.9, weight_decay=hp["weight_decay"]
    )
    loader = run.loader(train, hp["batch"], drop_last=False)
    parts = {"model": model, "optimizer": optimizer, "loader": loader}
    start = run.restore(**parts)
    replica = DistributedDataParallel(model) if run.world_size > 1 else model
    images, labels = (tensor.to(run.device) for tensor in valid.tensors)
    for epoch in itertools.count(start):
        replica.train()
        total = 0.0
        for batch, target in loader:
            optimizer.zero_grad()
            found = replica(batch.to(run.device))
            loss = nn.functional.cross_entropy(found, target.to(run.device)) * loader.weight
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            accuracy = (model(images).argmax(1) == labels).float().mean()
        step = epoch + 1
        # Reported first: cut between the two, the epoch is trained again and its report is known.
        run.report(step=step, loss=total / len(loader), accuracy=accuracy)
        run.checkpoint(step=step, **parts)
        if run.should_stop():
            break


if __name__ == "__main__":
    main()
