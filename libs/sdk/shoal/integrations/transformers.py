"""For Hugging Face's Trainer.

    run = shoal.init(distributed=False)
    trainer = Trainer(..., callbacks=[ShoalCallback(run)])
    trainer.train(resume_from_checkpoint=run_checkpoint(run))

The Trainer writes its own checkpoints (`save_strategy`); each complete one goes to storage.
https://huggingface.co/docs/transformers/main_classes/callback
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import (  # type: ignore[import-not-found, unused-ignore]
    TrainerCallback,
)

from shoal.training import checkpoints
from shoal.training.run import Run


class ShoalCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Reports what is logged and evaluated, by optimizer steps; saves what the Trainer saves;
    stops when told. Logged names lose their `eval_`, so `eval_accuracy` is `accuracy`."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Training numbers; those of an evaluation come by `on_evaluate`."""
        numbers = _numbers(logs or {})
        if numbers and not any(name.startswith("eval_") for name in numbers):
            self.run.report(step=state.global_step, **numbers)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        """The results of an evaluation."""
        numbers = {name.removeprefix("eval_"): v for name, v in _numbers(metrics or {}).items()}
        if numbers:
            self.run.report(step=state.global_step, **numbers)
        if self.run.should_stop():
            control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save and leave if the slots go away."""
        if self.run.should_stop():
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The Trainer has written a checkpoint: bring it to storage."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        files: Any = {}
        if self.run.rank == 0:
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                data = bytearray(path.read_bytes())
                files[str(path.relative_to(folder))] = torch.frombuffer(data, dtype=torch.uint8)
        self.run.checkpoint(step=state.global_step, files=files)


def run_checkpoint(run: Run) -> str | None:
    """A folder to give to `trainer.train(resume_from_checkpoint=...)`; None: from the start.

    Raises CheckpointError if the checkpoint is damaged.
    """
    if run.latest is None:
        return None
    folder = Path(tempfile.mkdtemp()) / f"checkpoint-{run.latest.step}"
    for name, data in checkpoints.load(run.latest.url, ["files"])["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.numpy().tobytes())
    return str(folder)


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {name: v for name, v in values.items() if isinstance(v, int | float)}
