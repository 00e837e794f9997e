"""The scheduler's side of one worker, which runs as a process on a real server."""

import asyncio
import hashlib
import io
import os
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest_asyncio

from shoal_bus.bus import Bus
from shoal_bus.consume import Consumer
from shoal_contract import events as ev
from shoal_contract.ids import allocation_id, run_id
from shoal_contract.states import StopReason
from shoal_contract.subjects import LOGS, RUNS, TRAINING, VALIDATION

E = TypeVar("E", bound=ev.Event)
DEADLINE = 60.0
SCRIPT = """
import hashlib, itertools, os, random, time, numpy as np, torch, shoal
from torch import nn
run = shoal.init()
random.seed(run.seed); np.random.seed(run.seed); torch.manual_seed(run.seed)
model = nn.Linear(4, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=run.hyperparameters["lr"])
first = run.restore(model=model, optimizer=optimizer)
replica = nn.parallel.DistributedDataParallel(model) if run.world_size > 1 else model
for step in itertools.count(first + 1):
    noise = torch.rand(5, 4) * random.random() + float(np.random.rand()) + run.rank
    optimizer.zero_grad()
    loss = nn.functional.dropout(replica(noise), 0.5).square().mean()
    loss.backward()
    optimizer.step()
    time.sleep(0.05)
    run.checkpoint(step=step, model=model, optimizer=optimizer)
    run.report(step=step, acc=loss.item())
    if run.should_stop():
        break
digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters()))
print("weights", step, digest.hexdigest())
"""


class Desk:
    """The scheduler's side of one worker, which runs as a process."""

    def __init__(self, bus: Bus, folder: Path) -> None:
        self.bus, self.folder = bus, folder
        self.seen: list[ev.Event] = []
        self.worker: asyncio.subprocess.Process | None = None
        self._count = 0
        self.bundle = self.code(SCRIPT)

    def code(self, script: str) -> ev.Bundle:
        """A bundle with `script` as `train.py`."""
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            info = tarfile.TarInfo("train.py")
            info.size = len(script)
            tar.addfile(info, io.BytesIO(script.encode()))
        digest = hashlib.sha256(data.getvalue()).hexdigest()
        path = self.folder / f"{digest}.tar.gz"
        path.write_bytes(data.getvalue())
        return ev.Bundle(url=f"file://{path}", size=len(data.getvalue()), sha256=digest)

    async def listen(self, stream: Any) -> None:
        async for batch in Consumer(self.bus, stream).batches():
            self.seen += [delivery.envelope.event for delivery in batch]

    async def begin(self, **settings: str) -> None:
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "SHOAL_NODE_ID": "n",
            "SHOAL_NATS_URL": self.bus.settings.nats_url, "SHOAL_SLOTS": "2",
            "SHOAL_STATE_DIR": str(self.folder / "state"), "SHOAL_NOTICE": "10",
            "SHOAL_DEVICES": "cpu", **settings,
        }  # fmt: skip
        self.worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "shoal_worker", env=env, cwd=self.folder
        )
        await self.find(ev.NodeJoined)

    async def find(
        self, kind: type[E], wanted: Callable[[E], bool] = lambda _: True, count: int = 1
    ) -> E:
        """The `count`-th event of a kind that is as wanted, waiting for it."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            found = [e for e in self.seen if isinstance(e, kind) and wanted(e)]
            if len(found) >= count:
                return found[count - 1]
            await asyncio.sleep(0.02)
        raise TimeoutError(f"no {kind.type} among {[e.type for e in self.seen]}")

    def reported(self) -> list[ev.Earlier | ev.TrainingReported]:
        """What scripts reported that is no result, report by report."""
        events = [e for e in self.seen if isinstance(e, ev.TrainingReported)]
        by_scripts = [e for e in events if e.group != "system"]
        return [one for event in by_scripts for one in (*event.earlier, event)]

    async def say(self, event: ev.Event) -> None:
        self._count += 1
        await self.bus.publish(event, id=f"said-{self._count}")

    @property
    def node(self) -> ev.NodeJoined:
        return [e for e in self.seen if isinstance(e, ev.NodeJoined)][-1]

    async def start(self, trial: str, slots: int = 1, attempt: int = 1, **task: Any) -> ev.RunOrder:
        full: dict[str, Any] = {
            "experiment_id": "e", "trial_id": trial, "attempt": attempt, "metric": "acc",
            "entrypoint": ["python", "train.py"], "bundle": self.bundle, "seed": 5, "target": 6,
            "hyperparameters": {"lr": 0.1}, "environment": {}, "smaller_is_better": True,
            "time_metric": "step", "storage_url": f"file://{self.folder}/store",
            "checkpoint": None, **task,
        }  # fmt: skip
        allocation = allocation_id(trial, attempt)
        port = self.node.ports[self._count % len(self.node.ports)]
        order = ev.RunOrder(
            allocation_id=allocation, run_id=run_id(allocation, 0), node_rank=0, first_rank=0,
            slots=list(range(slots)), world_size=slots, task=ev.Task(**full),
            rendezvous=ev.Rendezvous(host="127.0.0.1", port=port),
        )  # fmt: skip
        await self.say(ev.StartOrdered(**self.to(order), run=order))
        return order

    def to(self, order: ev.RunOrder) -> dict[str, Any]:
        return {
            "node_id": "n", "incarnation": self.node.incarnation,
            "allocation_id": order.allocation_id,
        }  # fmt: skip

    async def stop(self, order: ev.RunOrder, reason: StopReason, grace: float = 20) -> None:
        await self.say(
            ev.StopOrdered(**self.to(order), run_id=order.run_id, reason=reason, grace=grace)
        )

    async def exit(self, order: ev.RunOrder) -> ev.RunExited:
        return await self.find(ev.RunExited, lambda e: e.run_id == order.run_id)

    async def reach(self, order: ev.RunOrder, step: int) -> ev.CheckpointSaved:
        await self.find(
            ev.ValidationReported,
            lambda e: e.allocation_id == order.allocation_id and e.step >= step,
        )
        return await self.saved(order, step)

    async def saved(self, order: ev.RunOrder, step: int) -> ev.CheckpointSaved:
        """The newest checkpoint of an attempt, which is of this step or a later one."""

        def wanted(e: ev.CheckpointSaved) -> bool:
            return e.allocation_id == order.allocation_id and e.checkpoint.step >= step

        await self.find(ev.CheckpointSaved, wanted)
        return [e for e in self.seen if isinstance(e, ev.CheckpointSaved) and wanted(e)][-1]

    async def weights(self, order: ev.RunOrder) -> str:
        """The last line that rank 0 wrote."""
        log = await self.find(
            ev.LogWritten,
            lambda e: e.allocation_id == order.allocation_id and e.lines[-1].startswith("weights"),
        )
        return log.lines[-1]


@pytest_asyncio.fixture
async def desk(bus: Any, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(await bus("scheduler"), tmp_path)
    tasks = [asyncio.create_task(made.listen(s)) for s in (RUNS, VALIDATION, LOGS, TRAINING)]
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if made.worker is not None and made.worker.returncode is None:
        made.worker.kill()
        await made.worker.wait()
