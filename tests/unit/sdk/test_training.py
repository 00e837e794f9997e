"""The training API by itself: stand-alone runs, and checkpoints that are exact and checked."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import shoal
from shoal.training import checkpoints, randomness


def test_a_script_runs_by_itself(capfd: pytest.CaptureFixture[str]) -> None:
    run = shoal.init(hyperparameters={"lr": 0.1}, max_time=2)
    assert (run.rank, run.world_size, run.hyperparameters) == (0, 1, {"lr": 0.1})
    assert run.restore() == 0
    run.report(step=1, accuracy=torch.tensor(0.5))
    assert not run.should_stop()
    run.checkpoint(step=1, model=nn.Linear(1, 1))
    run.report(step=2, accuracy=0.75)
    assert run.should_stop()
    assert "accuracy=0.75" in capfd.readouterr().err


def test_what_is_no_number_is_refused() -> None:
    run = shoal.init()
    with pytest.raises((TypeError, ValueError)):
        run.report(step=1, accuracy="good")


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        noise = torch.rand(4, 3) + random.random() + float(np.random.rand())
        optimizer.zero_grad()
        nn.functional.dropout(model(noise), 0.5).sum().backward()
        optimizer.step()


def seeded() -> tuple[nn.Module, torch.optim.Optimizer]:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    return model, torch.optim.Adam(model.parameters(), lr=0.1)


def test_going_on_from_a_checkpoint_is_bit_for_bit_the_same(tmp_path: Path) -> None:
    model, optimizer = seeded()
    train(model, optimizer, 7)
    wanted = {k: v.clone() for k, v in model.state_dict().items()}

    model, optimizer = seeded()
    train(model, optimizer, 3)
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(),
             "random": randomness.random_state()}  # fmt: skip
    saved = checkpoints.save(f"file://{tmp_path}/c", parts, step=3, attempt=1)
    assert saved.size > 0

    model, optimizer = seeded()
    train(model, optimizer, 11)  # elsewhere: other weights, other random states
    found = checkpoints.load(saved.url)
    model.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    randomness.restore_random_state(found["random"])
    train(model, optimizer, 4)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, wanted[name])


def test_a_damaged_or_unfinished_checkpoint_is_refused(tmp_path: Path) -> None:
    saved = checkpoints.save(f"file://{tmp_path}/c", {"x": torch.ones(3)}, step=1, attempt=1)
    file = tmp_path / "c" / "x.pt"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(checkpoints.CheckpointError, match=r"x\.pt.*checksum"):
        checkpoints.load(saved.url)
    (tmp_path / "c" / checkpoints.MANIFEST).unlink()
    with pytest.raises(checkpoints.CheckpointError, match="cannot be read"):
        checkpoints.load(saved.url)
