"""Files of points in storage that is no folder of this machine."""

import asyncio
from collections.abc import Awaitable, Callable

import fsspec
from integration.gateway.test_metrics import publish, ready, training

from shoal_bus.bus import Bus
from shoal_contract.events import ExperimentDeleted
from shoal_contract.subjects import EXPERIMENTS, TRAINING
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.history_reader import HistoryReader, Query
from shoal_gateway.shell.history_writer import HistoryWriter
from shoal_gateway.shell.projector import Projector
from shoal_gateway.shell.redis_store import RedisStore

COUNT = 6


async def test_many_queries_share_few_copies_and_a_deletion_removes_them(
    bus: Callable[..., Awaitable[Bus]], redis_url: str
) -> None:
    """A cache with room for about two of six files, and files that are merged meanwhile."""
    one, store = await bus("gateway"), RedisStore(redis_url)
    await store.redis.flushall()
    files = Files(f"memory://{one.nc.client_id}-{id(one)}", cached=6000)
    projector = Projector(one, store, files)
    running = asyncio.create_task(projector.run())
    await ready(projector)
    writer = HistoryWriter(one, store, files, seconds=60, memory=2**20)
    reader = HistoryReader(writer.recent, files)
    names = [f"e{n}" for n in range(COUNT)]

    async def check(name: str, steps: int) -> None:
        found = await reader.read(Query(name, "training", [f"{name}-0"]))
        assert found["value"].to_list() == [float(step) for step in range(steps)]

    count = 0
    for turn in range(10):
        await publish(one, *(training(name, turn) for name in names))
        count += len(names)
        assert await projector.wait_until({TRAINING.name: count}, 10)
        await asyncio.gather(writer.write(), *(check(name, turn + 1) for name in names * 3))
    await asyncio.gather(*(check(name, 10) for name in names * 3))
    assert 0 < len(files.copied()) < COUNT
    await check("e0", 10)
    assert "e0" in files.copied()

    sequence = await one.publish(ExperimentDeleted(experiment_id="e0"), id="gone")
    assert await projector.wait_until({EXPERIMENTS.name: sequence}, 10)
    await writer.sweep.run()
    await writer.drop()
    assert "e0" not in files.copied()
    far = fsspec.filesystem("memory").find(f"/{one.nc.client_id}-{id(one)}/metrics")
    assert {path.split("/")[-2] for path in far if path.endswith(".parquet")} == set(names[1:])
    writer.close()
    files.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
