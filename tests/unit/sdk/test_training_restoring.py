"""What another trial's checkpoint gives: its states, and never its hyperparameters."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

import shoal
from shoal.training import checkpoints, randomness
from shoal.training.data import Loader
from shoal.training.run import Run
from shoal.training.saver import RANDOM
from shoal_contract.events import Task
from shoal_contract.line import Welcome


def parts(lr: float, momentum: float = 0.9, gamma: float = 0.5) -> dict[str, Any]:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=lr / 10)
    return {
        "scheduler": lr_scheduler.StepLR(optimizer, 2, gamma),  # given before its optimizer
        "model": model,
        "optimizer": optimizer,
        "loader": Loader(list(range(20)), 4),
    }


def train(made: dict[str, Any], steps: int) -> None:
    for _ in range(steps):
        made["optimizer"].zero_grad()
        made["model"](torch.rand(4, 3)).sum().backward()
        made["optimizer"].step()
        made["scheduler"].step()


def saved(folder: Path, made: dict[str, Any]) -> checkpoints.Checkpoint:
    content = {name: part.state_dict() for name, part in made.items()}
    content[RANDOM] = [randomness.random_state()]
    return checkpoints.save(f"file://{folder}/c", content, step=4, attempt=1)


def child(checkpoint: checkpoints.Checkpoint, inherits: Any) -> Run:
    task = Task(
        experiment_id="e", trial_id="e-1", attempt=1, entrypoint=["x"], bundle=None, seed=1,
        hyperparameters={}, environment={}, metric="acc", smaller_is_better=False,
        time_metric="step", target=8, storage_url="file:///s", checkpoint=checkpoint,
        inherits=inherits,
    )  # fmt: skip
    welcome = Welcome(task=task, allocation_id="a", world_size=1, checkpoint_url="file:///s/x")
    return Run({}, target=8, welcome=welcome)


def test_a_training_that_is_taken_over_keeps_its_own_hyperparameters(tmp_path: Path) -> None:
    theirs = parts(lr=0.4)
    train(theirs, 4)
    theirs["loader"].position = 3
    mine = parts(lr=0.2, momentum=0.5)
    own = {k: v for k, v in mine["optimizer"].param_groups[0].items() if k != "params"}
    random.seed(7)
    before = random.getstate()
    assert child(saved(tmp_path, theirs), "training").restore(**mine) == 4
    assert random.getstate() == before
    group = mine["optimizer"].param_groups[0]
    # The schedule is at its fourth step, where a rate is a quarter of what it began with.
    assert {k: v for k, v in group.items() if k != "params"} == {**own, "lr": 0.05}
    assert mine["scheduler"].base_lrs == [0.2]
    assert mine["scheduler"].get_last_lr() == [0.05]
    train(mine, 2)
    assert mine["optimizer"].param_groups[0]["lr"] == pytest.approx(0.025)
    assert mine["loader"].position == 3
    momentum = mine["optimizer"].state[mine["model"].weight]["momentum_buffer"]
    assert momentum.abs().sum() > 0


def test_only_weights_begin_at_step_0(tmp_path: Path) -> None:
    theirs = parts(lr=0.4)
    train(theirs, 4)
    theirs["loader"].position = 3
    mine = parts(lr=0.2)
    before = random.getstate()
    assert child(saved(tmp_path, theirs), "weights").restore(**mine) == 0
    assert torch.equal(mine["model"].weight, theirs["model"].weight)
    assert mine["optimizer"].param_groups[0]["lr"] == 0.2
    assert (mine["scheduler"].last_epoch, mine["loader"].position) == (0, 0)
    assert random.getstate() == before


def test_its_own_checkpoint_is_restored_as_it_was(tmp_path: Path) -> None:
    theirs = parts(lr=0.4)
    train(theirs, 4)
    found = saved(tmp_path, theirs)
    state = random.getstate()
    random.seed(3)
    mine = parts(lr=0.2)
    assert child(found, "nothing").restore(**mine) == 4
    assert mine["optimizer"].param_groups[0]["lr"] == pytest.approx(0.1)
    assert random.getstate() == state


def test_schedulers_in_sequence_keep_their_rates(tmp_path: Path) -> None:
    def made(lr: float) -> dict[str, Any]:
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        warm = lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        then = lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
        scheduler = lr_scheduler.SequentialLR(optimizer, [warm, then], [2])
        return {"model": model, "optimizer": optimizer, "scheduler": scheduler}

    theirs, wanted, mine = made(0.4), made(0.2), made(0.2)
    for one in (theirs, wanted):
        for _ in range(5):
            one["optimizer"].step()
            one["scheduler"].step()
    child(saved(tmp_path, theirs), "training").restore(**mine)
    rates = [one["optimizer"].param_groups[0]["lr"] for one in (mine, wanted)]
    assert rates[0] == pytest.approx(rates[1])
    for one in (mine, wanted):
        one["optimizer"].step()
        one["scheduler"].step()
    rates = [one["optimizer"].param_groups[0]["lr"] for one in (mine, wanted)]
    assert rates[0] == pytest.approx(rates[1])


def test_what_is_missing_or_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    made = parts(lr=0.1)
    run = child(saved(tmp_path, made), "nothing")
    with pytest.raises(KeyError, match="no 'ema'"):
        run.restore(ema=nn.Linear(1, 1))
    with pytest.raises(TypeError, match="'model' has no load_state_dict: int"):
        run.restore(model=3)


def test_a_script_by_itself_goes_on_from_its_own_storage(tmp_path: Path) -> None:
    where = f"file://{tmp_path}/mine"
    made = parts(lr=0.1)
    run = shoal.init(storage=where)
    assert run.restore(**made) == 0
    for step in (9, 10):
        run.checkpoint(step=step, **made)
    run.finish()
    (tmp_path / "mine" / "step-11").mkdir()  # begun, and never complete
    again = shoal.init(storage=where)
    assert again.restore(**parts(lr=0.2)) == 10
