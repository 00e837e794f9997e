"""A trainer as many repositories have one: epochs, batches, callbacks by name, best and last
weights as files. Shoal is told by two callbacks; the loop itself knows nothing of it.

`python train.py` runs it by itself.
"""

from collections.abc import Callable
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

import shoal
from shoal.training.run import Run

DEFAULTS = {"lr": 0.1, "width": 64, "batch": 64, "max_batch": 32}


class Trainer:
    """Trains a classifier; `callbacks` are called with it at the ends of batches and epochs."""

    def __init__(self, model: nn.Module, loader: Any, valid: Any, lr: float) -> None:
        self.model, self.loader, self.valid = model, loader, valid
        self.device = next(model.parameters()).device
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.callbacks: dict[str, list[Callable[[Trainer], None]]] = {"batch": [], "epoch": []}
        self.epoch, self.metrics, self.stop = 0, dict[str, float](), False

    def train(self, replica: nn.Module) -> None:
        while not self.stop:
            replica.train()
            for batch in self.loader:
                inputs, labels = (tensor.to(self.device) for tensor in batch)
                with self.loader.accumulate(replica):
                    loss = nn.functional.cross_entropy(replica(inputs), labels)
                    (loss * self.loader.weight).backward()
                if self.loader.boundary:
                    self.optimizer.step()
                    self.optimizer.zero_grad()
                    self._call("batch")
                if self.stop:
                    return
            self.epoch += 1
            self.metrics = {"loss": float(loss.detach()), "accuracy": self.validate()}
            self._call("epoch")

    @torch.no_grad()
    def validate(self) -> float:
        self.model.eval()
        inputs, labels = (tensor.to(self.device) for tensor in self.valid)
        return float((self.model(inputs).argmax(1) == labels).float().mean())

    def _call(self, when: str) -> None:
        for callback in self.callbacks[when]:
            callback(self)


def attach(run: Run, trainer: Trainer) -> None:
    """What Shoal needs of a trainer."""
    parts = {"model": trainer.model, "optimizer": trainer.optimizer, "loader": trainer.loader}

    def after_batch(trainer: Trainer) -> None:
        if run.should_stop():  # in the middle of an epoch: save where it is
            run.checkpoint(step=trained(trainer), **parts)
            trainer.stop = True

    def after_epoch(trainer: Trainer) -> None:
        run.report(step=trained(trainer), epoch=trainer.epoch, **trainer.metrics)
        run.checkpoint(step=trained(trainer), **parts)
        trainer.stop = run.should_stop()

    run.restore(**parts)
    trainer.epoch = trainer.loader.epoch
    trainer.callbacks["batch"].append(after_batch)
    trainer.callbacks["epoch"].append(after_epoch)


def trained(trainer: Trainer) -> int:
    """Batches so far: the step of this example."""
    return trainer.loader.epoch * len(trainer.loader) + trainer.loader.position


def main() -> None:
    run = shoal.init(hyperparameters=DEFAULTS, max_time=3 * 21)
    hp = run.hyperparameters
    torch.manual_seed(run.seed)
    digits = load_digits()
    inputs = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    data = TensorDataset(inputs[:1347], labels[:1347])
    model = nn.Sequential(nn.Linear(64, hp["width"]), nn.ReLU(), nn.Linear(hp["width"], 10))
    model.to(run.device)
    loader = run.loader(data, hp["batch"], max_batch=hp["max_batch"])
    trainer = Trainer(model, loader, (inputs[1347:], labels[1347:]), hp["lr"])
    attach(run, trainer)
    trainer.train(DistributedDataParallel(model) if run.world_size > 1 else model)


if __name__ == "__main__":
    main()
