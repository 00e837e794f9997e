"""For Lightning's Trainer (`lightning` or `pytorch_lightning`, 2.x).

    run = shoal.init(distributed=False)
    trainer = Trainer(callbacks=[ShoalCallback(run)], enable_checkpointing=False)
    trainer.fit(module, data, ckpt_path=run_checkpoint(run))

https://lightning.ai/docs/pytorch/stable/extensions/callbacks.html
"""

import os
import tempfile
from typing import Any

import torch

from shoal.training import checkpoints
from shoal.training.run import Run

try:
    from lightning.pytorch.callbacks import Callback  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    from pytorch_lightning.callbacks import (  # type: ignore[assignment, import-not-found, unused-ignore]
        Callback,
    )


class ShoalCallback(Callback):  # type: ignore[misc, unused-ignore]
    """Reports what is logged, after each epoch's validation; saves; stops when told.

    One step is one epoch, unless `step` is "batch".
    """

    def __init__(self, run: Run, *, step: str = "epoch") -> None:
        super().__init__()
        if step not in ("epoch", "batch"):
            raise ValueError(f"step is 'epoch' or 'batch', not {step!r}")
        self.run = run
        self._unit, self._done, self._leaving = step, 0, False

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Leave after any batch if told to. An epoch that was begun is trained again, unless
        steps are batches."""
        if self.run.should_stop():
            trainer.should_stop = self._leaving = True
            if self._unit == "batch":
                self._save(trainer, self._step(trainer))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Report, save, and ask whether to go on. Validation has been by then."""
        if self._leaving:
            return
        numbers = {
            name: value for name, value in trainer.callback_metrics.items() if _is_number(value)
        }
        step = self._step(trainer)
        if numbers and step > self._done:
            self._done = step
            self.run.report(step=step, **numbers)
        self._save(trainer, step)
        if self.run.should_stop():
            trainer.should_stop = True

    def _step(self, trainer: Any) -> int:
        done = trainer.global_step if self._unit == "batch" else trainer.current_epoch + 1
        return int(done)

    def _save(self, trainer: Any, step: int) -> None:
        content = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        self.run.checkpoint(step=step, lightning=content)


def run_checkpoint(run: Run) -> str | None:
    """A file to give to `trainer.fit(ckpt_path=...)`; None: begin from the start.

    Raises CheckpointError if the checkpoint is damaged.
    """
    if run.latest is None:
        return None
    content = checkpoints.load(run.latest.url, ["lightning"])["lightning"]
    handle, path = tempfile.mkstemp(suffix=".ckpt")
    os.close(handle)
    torch.save(content, path)
    return path


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or getattr(value, "numel", lambda: 0)() == 1
