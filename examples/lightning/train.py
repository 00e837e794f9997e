"""Digits with Lightning: the callback reports, saves and stops. `python train.py` runs by itself.

Needs `pip install lightning`. One step is one epoch.
"""

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import shoal
from shoal.integrations.lightning import ShoalCallback, run_checkpoint

DEFAULTS = {"lr": 0.05, "width": 64, "batch": 64}


class Digits(lightning.LightningModule):
    def __init__(self, lr: float, width: int) -> None:
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        right = (self.net(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("accuracy", right, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)


def main() -> None:
    run = shoal.init(hyperparameters=DEFAULTS, max_time=2, distributed=False)
    hp = run.hyperparameters
    lightning.seed_everything(run.seed)
    digits = load_digits()
    inputs = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    train = DataLoader(TensorDataset(inputs[:1347], labels[:1347]), hp["batch"], shuffle=True)
    valid = DataLoader(TensorDataset(inputs[1347:], labels[1347:]), 450)
    trainer = lightning.Trainer(
        max_epochs=-1, accelerator="auto", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=[ShoalCallback(run)],
    )  # fmt: skip
    trainer.fit(Digits(hp["lr"], hp["width"]), train, valid, ckpt_path=run_checkpoint(run))


if __name__ == "__main__":
    main()
