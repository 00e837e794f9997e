"""Gangs of ranks, forked from one process that has imported torch; `python gangs.py FOLDER`
prints as JSON what each scenario left behind."""

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor

import shoal
from shoal.ports import FOR_RANKS, free_ports
from shoal.training import saver
from shoal.training.checkpoints import MANIFEST, Folder

FOLDER = Path(sys.argv[1])
saver.PAUSES = (0.1,)
STEPS = 14
"""Optimizer steps: in the middle of the third epoch of six."""


class Pictures(torch.utils.data.Dataset[Any]):
    """60 inputs, each changed at random at each look."""

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> Any:
        wave = torch.sin(torch.arange(6.0) * index)
        return wave + random.random() + float(np.random.rand()), index


def gang(size: int, work: Callable[[], None]) -> list[int]:
    """Run `work` on each rank; the exit codes, or the signals, negative. As under the platform, one
    that is killed takes the others along."""
    port = free_ports(1, FOR_RANKS)[0]
    pids = []
    for rank in range(size):
        if pid := os.fork():
            pids.append(pid)
            continue
        os.environ |= {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
        }  # fmt: skip
        torch.set_num_threads(1)
        try:
            work()
            if dist.is_initialized():
                dist.destroy_process_group()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    codes: dict[int, int] = {}
    while len(codes) < size:
        pid, status = os.wait()
        codes[pid] = os.waitstatus_to_exitcode(status)
        for other in set(pids) - set(codes) if codes[pid] < 0 else ():
            os.kill(other, signal.SIGKILL)
    return [codes[pid] for pid in pids]


class Cut(NamedTuple):
    """Where a training is cut, by SIGKILL: at this batch of the attempt, from 1, on one rank."""

    batch: int
    rank: int


def slow_storage() -> None:
    """From now on each file of a checkpoint takes longer than a step does."""
    real = Folder.write

    def write(folder: Folder, name: str, part: Any) -> dict[str, Any]:
        found = real(folder, name, part)
        time.sleep(0.1)
        return found

    Folder.write = write  # type: ignore[method-assign]


def begun(name: str) -> int:
    """Checkpoints that were begun and are not complete."""
    folders = (FOLDER / name).glob("step-*")
    return sum(not (folder / MANIFEST).exists() for folder in folders)


def die_while_saving(name: str) -> None:
    end = time.monotonic() + 2
    while not begun(name) and time.monotonic() < end:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


def train(name: str, cut: Cut | None = None, most: int | None = None) -> None:
    """Train to the end, or to a cut while a checkpoint is written; writes weights and order."""
    run = shoal.init(max_time=STEPS, storage=f"file://{FOLDER}/{name}")
    random.seed(run.rank)
    np.random.seed(run.rank)
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
    loader = run.loader(Pictures(), 10, max_batch=most, seed=5)
    torch.manual_seed(100 + run.rank)  # each rank drops other units
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler,
             "loader": loader}  # fmt: skip
    step = run.restore(**parts)
    batches = 0
    if cut is not None:
        slow_storage()
    replica = nn.parallel.DistributedDataParallel(model) if run.world_size > 1 else model
    seen: list[int] = []
    while step < STEPS:
        for inputs, indices in loader:
            batches += 1
            if cut == (batches, run.rank):
                die_while_saving(name)
            seen += indices.tolist()
            with loader.accumulate(replica):
                loss = replica(inputs).square().mean() * loader.weight
                scaler.scale(loss).backward()
            if not loader.boundary:
                continue
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            scheduler.step()
            step += 1
            run.report(step=step, loss=loss)
            run.checkpoint(step=step, **parts)
            (FOLDER / f"{name}.{step}.{run.rank}").write_text(json.dumps(seen))
            seen = []
            if step == STEPS:
                break
    run.finish()
    if run.rank == 0:
        (FOLDER / f"{name}.weights").write_text(digest(model))


def digest(model: nn.Module) -> str:
    content = [p.detach().numpy().tobytes() for p in model.parameters()]
    return hashlib.sha256(b"".join(content)).hexdigest()


def order(name: str) -> list[list[int]]:
    """The samples of each global batch, sorted: how they lie on ranks is not the order."""
    found = []
    for step in range(1, STEPS + 1):
        shares = [json.loads(f.read_text()) for f in FOLDER.glob(f"{name}.{step}.*")]
        found.append(sorted(index for share in shares for index in share))
    return found


def exact(size: int) -> dict[str, Any]:
    """An uninterrupted run, and one that was cut at random batches."""
    codes = [gang(size, lambda: train(f"whole-{size}"))]
    seed = random.SystemRandom().randrange(2**32)
    draw, half = random.Random(seed), 0
    # At most 4 steps an attempt: none of them comes to the end.
    cuts = [Cut(draw.randrange(2, 6), draw.randrange(size)) for _ in range(3)]
    for cut in (*cuts, None):
        codes.append(gang(size, lambda cut=cut: train(f"cut-{size}", cut)))  # type: ignore[misc]
        half += begun(f"cut-{size}")
    weights = [(FOLDER / f"{kind}-{size}.weights").read_text() for kind in ("whole", "cut")]
    return {"codes": codes, "seed": seed, "cuts": cuts, "half": half, "weights": weights}


def hiccup() -> None:
    """The next file that is read fails."""
    real, calls = Folder.about, []

    def about(folder: Folder, name: str) -> dict[str, Any]:
        calls.append(name)
        if len(calls) == 1:
            raise OSError("a hiccup")
        return real(folder, name)

    Folder.about = about  # type: ignore[method-assign]


def sharded(store: str) -> None:
    """A model in pieces: train, save, train on; a new one restores and trains on alike."""
    from torch.distributed.fsdp import fully_shard

    run = shoal.init(storage=store)

    def made(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (run.world_size,))
        fully_shard(model, mesh=mesh)
        return {"model": model, "optimizer": torch.optim.Adam(model.parameters(), lr=0.05)}

    def step(parts: dict[str, Any], count: int) -> None:
        for n in range(count):
            parts["optimizer"].zero_grad()
            parts["model"](torch.full((3, 4), float(n + 1))).square().sum().backward()
            parts["optimizer"].step()

    def whole(parts: dict[str, Any]) -> list[Any]:
        return [
            p.full_tensor().tolist() for p in parts["model"].parameters() if isinstance(p, DTensor)
        ]

    if run.latest is None:
        parts = made(1)
        step(parts, 2)
        if run.rank == 1:
            hiccup()  # all ranks write again
        run.checkpoint(step=2, note="plain", **parts)
        step(parts, 2)  # while it is written
        run.finish()
        (FOLDER / "sharded.json").write_text(json.dumps(whole(parts)))
    other = shoal.init(storage=store, distributed=False)
    parts = made(2)
    assert other.restore(**parts) == 2
    step(parts, 2)
    wanted = json.loads((FOLDER / "sharded.json").read_text())
    assert whole(parts)
    for mine, theirs in zip(whole(parts), wanted, strict=True):
        assert torch.allclose(torch.tensor(mine), torch.tensor(theirs), atol=1e-5)


if __name__ == "__main__":
    found: dict[str, Any] = {str(size): exact(size) for size in (1, 2)}
    found["others"] = [gang(3, lambda: train("whole-3")), gang(1, lambda: train("micro", most=3))]
    found["orders"] = [order(n) for n in ("whole-1", "whole-2", "cut-2", "whole-3", "micro")]
    store = f"file://{FOLDER}/sharded"
    found["sharded"] = [gang(2, lambda: sharded(store)), gang(1, lambda: sharded(store))]
    print(json.dumps(found))
