"""A worker as a process, on a real server: orders in, events out, and training that goes on."""

import asyncio
import hashlib
import io
import os
import random
import signal
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import pytest_asyncio

from shoal_bus.bus import Bus
from shoal_bus.consume import Consumer
from shoal_contract import events as ev
from shoal_contract.ids import allocation_id, run_id
from shoal_contract.states import Outcome, StopReason
from shoal_contract.subjects import LOGS, RUNS, VALIDATION

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
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            info = tarfile.TarInfo("train.py")
            info.size = len(SCRIPT)
            tar.addfile(info, io.BytesIO(SCRIPT.encode()))
        (folder / "code.tar.gz").write_bytes(data.getvalue())
        self.bundle = ev.Bundle(
            url=f"file://{folder}/code.tar.gz", size=len(data.getvalue()),
            sha256=hashlib.sha256(data.getvalue()).hexdigest(),
        )  # fmt: skip

    async def listen(self, stream: Any) -> None:
        async for batch in Consumer(self.bus, stream).batches():
            self.seen += [delivery.envelope.event for delivery in batch]

    async def begin(self, **settings: str) -> None:
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "SHOAL_NODE_ID": "n",
            "SHOAL_NATS_URL": self.bus.settings.nats_url, "SHOAL_SLOTS": "2",
            "SHOAL_STATE_DIR": str(self.folder / "state"), "SHOAL_NOTICE": "10", **settings,
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
        saved = [e for e in self.seen if isinstance(e, ev.CheckpointSaved)]
        return [e for e in saved if e.allocation_id == order.allocation_id][-1]

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
    tasks = [asyncio.create_task(made.listen(s)) for s in (RUNS, VALIDATION, LOGS)]
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if made.worker is not None and made.worker.returncode is None:
        made.worker.kill()
        await made.worker.wait()


@pytest.mark.parametrize("warm", ["1", "0"], ids=["warm", "cold"])
async def test_a_run_from_order_to_end(desk: Desk, warm: str) -> None:
    await desk.begin(SHOAL_WARM=warm)
    order = await desk.start("e-0", target=2)
    await desk.reach(order, 2)
    await asyncio.sleep(0.5)  # at its target it waits
    extend = ev.ExtendOrdered(**desk.to(order), run_id=order.run_id, target=4)
    await desk.say(extend)
    await desk.reach(order, 4)
    await desk.stop(order, StopReason.CLOSED)
    end = await desk.exit(order)
    assert (end.outcome, end.exit_code) == (Outcome.STOPPED, None), end
    assert [e.step for e in desk.seen if isinstance(e, ev.ValidationReported)] == [1, 2, 3, 4]
    saved = [e.checkpoint for e in desk.seen if isinstance(e, ev.CheckpointSaved)]
    assert [c.step for c in saved] == [1, 2, 3, 4]
    assert all((Path(c.url.removeprefix("file://")) / "manifest.json").exists() for c in saved)
    assert (await desk.weights(order)).startswith("weights 4 ")
    said = [e.type for e in desk.seen if e.type.startswith("run.")]
    assert said == ["run.accepted", "run.started", "run.extended", "run.stopping",
                    "run.rank_exited", "run.exited"]  # fmt: skip


@pytest.mark.parametrize("slots", [1, 2])
async def test_a_killed_trial_goes_on_bit_for_bit(desk: Desk, slots: int) -> None:
    await desk.begin()
    whole = await desk.start("e-0", slots)
    await desk.reach(whole, 6)
    await desk.stop(whole, StopReason.CLOSED)
    wanted = await desk.weights(whole)
    await desk.exit(whole)

    first = await desk.start("e-1", slots)
    await desk.reach(first, random.Random().randrange(1, 5))
    started = await desk.find(ev.RunStarted, lambda e: e.run_id == first.run_id)
    os.kill(started.pids[-1], signal.SIGKILL)
    end = await desk.exit(first)
    assert (end.outcome, end.exit_code) == (Outcome.FAILED, -9)
    saved = await desk.reach(first, 1)
    second = await desk.start("e-1", slots, attempt=2, checkpoint=saved.checkpoint)
    await desk.reach(second, 6)
    await desk.stop(second, StopReason.CLOSED)
    assert await desk.weights(second) == wanted, saved


async def test_a_notice_lets_runs_save_and_ends_the_worker(desk: Desk) -> None:
    await desk.begin()
    order = await desk.start("e-0", target=10**6)
    await desk.reach(order, 1)
    assert desk.worker is not None
    desk.worker.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(desk.worker.wait(), DEADLINE) == 0
    assert (await desk.exit(order)).outcome is Outcome.PREEMPTED
    await desk.find(ev.NodeLeft)
    assert await desk.weights(order)
    said = [e.type for e in desk.seen if e.type.startswith(("node.", "run."))]
    assert said == ["node.joined", "run.accepted", "run.started", "node.draining",
                    "run.stopping", "run.rank_exited", "run.exited", "node.left"]  # fmt: skip


async def test_who_does_not_listen_is_killed_when_the_grace_is_over(desk: Desk) -> None:
    await desk.begin(SHOAL_NOTICE="1")
    command = ["sh", "-c", "trap '' TERM; sleep 600"]
    order = await desk.start("e-0", entrypoint=command, bundle=None)
    await desk.find(ev.RunStarted)
    await desk.stop(order, StopReason.PAUSED, grace=300)  # longer than the machine has
    await desk.find(ev.RunStopping)
    assert desk.worker is not None
    desk.worker.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(desk.worker.wait(), DEADLINE) == 0
    assert (await desk.exit(order)).outcome is Outcome.STOPPED
    await desk.find(ev.NodeLeft)


async def test_a_node_that_was_given_up_kills_its_runs_and_joins_anew(desk: Desk) -> None:
    await desk.begin()
    old = desk.node
    order = await desk.start("e-0", target=10**6)
    rank = psutil.Process((await desk.find(ev.RunStarted)).pids[0])
    gone = {"node_id": "n", "instance_id": None, "reason": "silent"}
    await desk.say(ev.NodeRemoved(**gone, incarnation="another"))
    await desk.reach(order, 1)
    await desk.say(ev.NodeRemoved(**gone, incarnation=old.incarnation))
    new = await desk.find(ev.NodeJoined, count=2)
    assert new.incarnation != old.incarnation
    assert not rank.is_running() or rank.status() == psutil.STATUS_ZOMBIE
    again = await desk.start("e-1")
    await desk.reach(again, 6)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"sha256": "0" * 64}, "checksum"), ({"url": "nowhere://x/y"}, "nowhere"),
     ({"url": "file:///no/such/file"}, "No such file")],
)  # fmt: skip
async def test_files_that_cannot_be_had_end_the_run(
    desk: Desk, change: dict[str, str], words: str
) -> None:
    await desk.begin(SHOAL_WARM="0")
    bad = desk.bundle.model_copy(update=change)
    end = await desk.exit(await desk.start("e-0", bundle=bad))
    assert end.outcome is Outcome.LOST
    assert words in end.reason


async def test_a_trial_outlives_an_outage_of_nats(desk: Desk, nats_server: Any) -> None:
    await desk.begin()
    order = await desk.start("e-0", target=12)
    await desk.reach(order, 3)
    nats_server.kill()
    await asyncio.sleep(3)
    nats_server.start()
    await desk.reach(order, 12)
    await desk.stop(order, StopReason.CLOSED)
    assert (await desk.exit(order)).outcome is Outcome.STOPPED
    steps = [e.step for e in desk.seen if isinstance(e, ev.ValidationReported)]
    assert steps == list(range(1, 13))
