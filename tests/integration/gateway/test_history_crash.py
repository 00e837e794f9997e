"""A gateway that is killed while points move from Redis into files: none is lost or doubled."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from integration.gateway.test_metrics import publish, ready, training
from redis.asyncio import Redis
from waiting import until

from shoal_bus.bus import Bus
from shoal_contract.events import TrialCreated
from shoal_contract.subjects import TRAINING
from shoal_gateway.core.history.files import MERGED, File, parse
from shoal_gateway.settings import Settings
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.history_reader import HistoryReader, Query
from shoal_gateway.shell.history_writer import HistoryWriter
from shoal_gateway.shell.projector import Projector
from shoal_gateway.shell.redis_store import RedisStore

from . import processes
from .conftest import CONFIG


async def experiment(http: httpx.AsyncClient, bus: Bus) -> str:
    answer = await http.post("/v1/experiments", json={"config": CONFIG, "bundle": None})
    e = str(answer.json()["experiment_id"])
    made = TrialCreated(experiment_id=e, trial_id=f"{e}-0", number=0, hyperparameters={}, seed=1)
    await publish(bus, made)
    return e


async def all_once(http: httpx.AsyncClient, e: str, count: int) -> None:
    """Wait until an answer has every point, and see that it has each once."""
    path = f"/v1/experiments/{e}/metrics?group=training&points=0&superseded=true"
    steps: list[int] = []
    for _ in range(400):
        answer = await http.get(path)
        if answer.status_code == 200:
            steps = [item["step"] for item in answer.json()["items"]]
            assert len(steps) == len(set(steps))
            if steps == list(range(count)):
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{len(steps)} of {count} points: {answer.text[:500]}")


def files(settings: Settings) -> list[File]:
    """All files of training reports."""
    root = Path(settings.storage_url.removeprefix("file://")) / "metrics" / TRAINING.name
    return [f for p in root.rglob("*.parquet") if (f := parse(p.name, 1)) is not None]


async def held(redis: Redis, e: str) -> int:
    """Blocks of training reports in Redis."""
    length: int = await redis.llen(f"shoal:0:points:{TRAINING.name}:{e}")  # type: ignore[misc]
    return length


async def only_client(redis: Redis) -> None:
    """Wait until Redis has noticed that all its other clients are gone."""
    async with asyncio.timeout(processes.WAIT):
        while True:
            if len(await redis.client_list()) == 1:
                return
            await asyncio.sleep(0.01)


async def test_killed_between_a_file_and_the_dropping_of_what_is_in_it(
    alone: Settings, bus: Callable[..., Awaitable[Bus]], tmp_path: Path
) -> None:
    """Redis lets nothing be written at that moment, so the writer gets no further."""
    one, settings = await bus("test"), alone.model_copy(update={"metrics_seconds": 2.0})
    async with Redis.from_url(settings.redis_url) as redis:
        async with processes.running(settings, tmp_path) as (process, http):
            e = await experiment(http, one)
            count = 0
            while True:
                await publish(one, *(training(e, n) for n in range(count, count + 20)))
                count += 20
                await all_once(http, e, count)
                before = files(settings)
                await redis.execute_command("CLIENT", "PAUSE", 30_000, "WRITE")
                if await held(redis, e) and files(settings) == before:
                    break
                await redis.execute_command("CLIENT", "UNPAUSE")
            try:
                await until(lambda: files(settings) != before, pause=0.001)
                processes.kill(process)
                await only_client(redis)  # else Redis might still do what it was told last
            finally:
                await redis.execute_command("CLIENT", "UNPAUSE")
        assert max(f.last for f in files(settings)) == count
        assert await held(redis, e)
        async with processes.running(settings, tmp_path) as (_, http):
            await all_once(http, e, count)
            await publish(one, training(e, count))
            await all_once(http, e, count + 1)
            async with asyncio.timeout(processes.WAIT):
                while True:
                    if not await held(redis, e):
                        break
                    await asyncio.sleep(0.05)
            await all_once(http, e, count + 1)
            await redis.flushall()
            await all_once(http, e, count + 1)


async def test_killed_whenever_something_changes_in_storage(
    alone: Settings, bus: Callable[..., Awaitable[Bus]], tmp_path: Path
) -> None:
    """In the middle of a file, right after one, and right after one that was merged."""
    one, settings = await bus("test"), alone.model_copy(update={"metrics_seconds": 0.1})
    root = Path(settings.storage_url.removeprefix("file://")) / "metrics" / TRAINING.name
    e, count = "", 0
    seen: list[File] = []

    async def report(enough: asyncio.Event) -> None:
        nonlocal count
        while not enough.is_set():  # not cancelled: what was sent is counted
            await publish(one, training(e, count))
            count += 1

    moments: list[Callable[[], bool]] = [
        lambda: any(root.rglob("*.part")),
        lambda: files(settings) != seen,
        lambda: any(f.first <= s.first and s.last < f.last for f in files(settings) for s in seen),
        lambda: any(root.rglob("*.part")),
    ]
    for moment in moments:
        async with processes.running(settings, tmp_path) as (process, http):
            e = e or await experiment(http, one)
            await all_once(http, e, count)
            seen = files(settings)
            enough = asyncio.Event()
            reporting = asyncio.create_task(report(enough))
            await until(moment, pause=0.001)
            processes.kill(process)
            enough.set()
            await reporting
    async with processes.running(settings, tmp_path) as (_, http):
        await all_once(http, e, count)
    assert count > 20


async def test_files_that_were_merged_and_are_still_there_are_read_once_and_go(
    bus: Callable[..., Awaitable[Bus]], redis_url: str, tmp_path: Path
) -> None:
    one, store = await bus("gateway"), RedisStore(redis_url)
    await store.redis.flushall()
    files = Files(f"file://{tmp_path / 'storage'}")
    projector = Projector(one, store, files)
    running = asyncio.create_task(projector.run())
    await ready(projector)
    writer = HistoryWriter(one, store, files, seconds=60, memory=2**20)
    reader = HistoryReader(writer.recent, files)
    there: list[str] = []
    for step in range(MERGED):
        await publish(one, training("e", step))
        assert await projector.wait_until({TRAINING.name: step + 1}, 10)
        if step == MERGED - 1:
            shutil.copytree(tmp_path / "storage", tmp_path / "before")
        await writer.write()
        there = sorted(p.name for p in tmp_path.glob("storage/**/*.parquet"))
    assert there == [File(0, MERGED).name]
    shutil.copytree(tmp_path / "before", tmp_path / "storage", dirs_exist_ok=True)
    files.forget(TRAINING, "e")
    query = Query("e", "training", ["e-0"], superseded=True)
    assert (await reader.read(query))["step"].to_list() == list(range(MERGED))
    await publish(one, training("e", MERGED))
    assert await projector.wait_until({TRAINING.name: MERGED + 1}, 10)
    await writer.write()
    there = sorted(p.name for p in tmp_path.glob("storage/**/*.parquet"))
    assert there == [File(0, MERGED).name, File(MERGED, MERGED + 1).name]
    assert (await reader.read(query))["step"].to_list() == list(range(MERGED + 1))
    writer.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
