"""A worker as a process, on a real server: orders in, events out, and training that goes on."""

import asyncio
import os
import random
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from fakes.metadata import FakeMetadata, serving
from integration.worker.desk import DEADLINE, Desk, desk

from shoal_contract import events as ev
from shoal_contract.states import Outcome, StopReason

__all__ = ["desk"]


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
    assert (end.last_step, end.last_time) == (4, 4)
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


LISTENS = """
import pathlib, time, shoal
run = shoal.init()
for step in range(1, 10**6):
    time.sleep(0.05)
    run.report(step=step, acc=0.5)
    if run.should_stop():
        break
pathlib.Path("heard").touch()
run.finish()
"""


@pytest.mark.parametrize("how", ["signal", "cloud"])
async def test_who_is_told_to_leave_while_nats_is_away_tells_its_ranks_and_ends_with_the_notice(
    desk: Desk, nats_server: Any, how: str
) -> None:
    cloud = FakeMetadata({"preempted": "FALSE"})
    with serving(cloud) as address:
        await desk.begin(SHOAL_NOTICE="4", SHOAL_METADATA_URL=f"http://{address}")
        await desk.start("e-0", target=10**6, bundle=desk.code(LISTENS))
        rank = psutil.Process((await desk.find(ev.RunStarted)).pids[0])
        await desk.find(ev.ValidationReported)
        folder = Path(rank.cwd())
        nats_server.kill()
        assert desk.worker is not None
        if how == "signal":
            desk.worker.send_signal(signal.SIGTERM)
        else:
            cloud.change("preempted", "TRUE")
        assert await asyncio.wait_for(desk.worker.wait(), DEADLINE) == 0
        rank.wait(DEADLINE)
        assert (folder / "heard").exists()


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


BROKEN = """
import atexit, os, time, torch.distributed as dist
if os.environ["RANK"] == "1":
    atexit.register(time.sleep, 1)  # it takes longer to end than who waits for it
import shoal
run = shoal.init()
if run.rank == 1:
    raise ValueError("boom on rank 1")
dist.barrier()
"""


@pytest.mark.parametrize("warm", ["1", "0"], ids=["warm", "cold"])
async def test_the_rank_that_broke_a_gang_is_named(desk: Desk, warm: str) -> None:
    await desk.begin(SHOAL_WARM=warm)
    end = await desk.exit(await desk.start("e-0", 2, bundle=desk.code(BROKEN)))
    ranks = [e.rank for e in desk.seen if isinstance(e, ev.RankExited)]
    assert ranks == [0, 1]
    assert (end.outcome, end.reason) == (Outcome.FAILED, "rank 1: ValueError: boom on rank 1")
