"""Each event counts once, whatever happens to gateways and Redis."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from shoal_bus.bus import Bus
from shoal_contract.events import AllocationEnded
from shoal_contract.states import Outcome
from shoal_contract.subjects import SCHEDULE
from shoal_gateway.core import keys
from shoal_gateway.core.changes import Increment
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.projector import LOOK, Projector
from shoal_gateway.shell.redis_store import RedisStore

COUNT = 400


async def store(redis_url: str) -> RedisStore:
    made = RedisStore(redis_url)
    await made.redis.flushall()
    return made


async def total(use: RedisStore) -> float:
    return float((await use.row(keys.experiment("e"))).get("slot_seconds", 0))


def ended(i: int) -> AllocationEnded:
    return AllocationEnded(
        experiment_id="e", allocation_id=f"a{i}", trial_id=f"e-{i}", attempt=1,
        outcome=Outcome.COMPLETED, reason="", slots=1, seconds=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("disturbance", ["none", "flush", "restart"])
async def test_two_gateways_on_one_redis_count_each_event_once(
    bus: Callable[..., Awaitable[Bus]], redis_url: str, tmp_path: Path, disturbance: str
) -> None:
    one, use = await bus("gateway"), await store(redis_url)
    projectors = [
        asyncio.create_task(Projector(one, use, Files(f"file://{tmp_path}")).run())
        for _ in range(2)
    ]
    for i in range(COUNT):
        await one.publish(ended(i), id=f"ended-{i}")
        if i == COUNT // 2 and disturbance == "flush":
            await use.redis.flushall()
        if i % 100 == 50 and disturbance == "restart":
            projectors.pop(0).cancel()
            projectors.append(
                asyncio.create_task(Projector(one, use, Files(f"file://{tmp_path}")).run())
            )
    for _ in range(600):
        if await total(use) >= COUNT:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)
    assert await total(use) == COUNT
    for task in projectors:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await use.close()


async def test_models_of_other_streams_are_forgotten(
    bus: Callable[..., Awaitable[Bus]], redis_url: str, tmp_path: Path
) -> None:
    one, use = await bus("gateway"), await store(redis_url)
    change = Increment(keys.experiment("e"), "slot_seconds", 5)
    await use.know_deleted([])
    assert await use.apply(SCHEDULE.name, 0, 99, [change]) == 99
    assert await use.apply(SCHEDULE.name, 0, 100, [change]) == 99
    assert await total(use) == 5
    projector = Projector(one, use, Files(f"file://{tmp_path}"))
    running = asyncio.create_task(projector.run())
    await until(lambda: projector.ready)
    assert await total(use) == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await use.close()


async def test_nobody_knows_what_happens_while_nats_is_away(
    bus: Callable[..., Awaitable[Bus]], redis_url: str, tmp_path: Path, nats_server: Any
) -> None:
    one, use = await bus("gateway"), await store(redis_url)
    projector = Projector(one, use, Files(f"file://{tmp_path}"))
    running = asyncio.create_task(projector.run())
    await one.publish(ended(0), id="ended-0")
    await until(lambda: projector.ready and projector.applied[SCHEDULE.name] == 1)
    nats_server.stop()
    left = time.time()
    assert not await projector.wait_for(SCHEDULE, 2, 2 * LOOK)  # it looks, and finds nothing
    assert projector.complete_at <= left
    assert projector.ready
    nats_server.start()
    at = await one.publish(ended(1), id="ended-1")
    told = time.time()
    await until(lambda: projector.complete_at > told)
    assert projector.applied[SCHEDULE.name] == at == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await use.close()
