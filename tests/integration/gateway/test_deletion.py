"""What was deleted leaves nothing, and nothing of it comes back."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from integration.gateway.test_gateway import publish
from redis.asyncio import Redis

from shoal_bus.bus import Bus
from shoal_contract.events import (
    AllocationEnded,
    Checkpoint,
    CheckpointSaved,
    Event,
    ExperimentDeleted,
    ExperimentEdited,
    LogWritten,
    MetricLogged,
    SearchCompleted,
    ShareChanged,
    TrackingExperimentCreated,
    TrackingLogged,
    TrackingRunCreated,
    TrainingReported,
    TrialCreated,
    TrialMeasured,
    TrialStarted,
    ValidationReported,
)
from shoal_contract.states import Outcome
from shoal_contract.subjects import LOGS, TRACKED, TRAINING, all_of
from shoal_gateway.settings import Settings
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.projector import PROJECTED, Projector
from shoal_gateway.shell.rebuild import rebuild
from shoal_gateway.shell.redis_store import RedisStore

from .conftest import Gateway, up

TRIALS = 3
SOON = 0.3
"""Seconds after which points are put into files here."""


@pytest.fixture
def hasty(alone: Settings, tmp_path: Path) -> Settings:
    return alone.model_copy(update={"metrics_seconds": SOON, "token_file": tmp_path / "token"})


def life(e: str, turn: int = 0) -> list[Event]:
    """What all services say of an experiment; `turn` tells one time from another."""
    found: list[Event] = [
        ShareChanged(experiment_id=e, weight=2.0, priority=None, max_slots=None, hold=False)
    ]
    for n in range(TRIALS):
        t = f"{e}-{n}"
        ids = {"experiment_id": e, "trial_id": t}
        report = ids | {"allocation_id": f"{t}-a1", "attempt": 1, "at": 1.0}
        checkpoint = Checkpoint(url=f"file:///c/{t}/{turn}", step=4, attempt=1)
        found += [
            TrialCreated(**ids, number=n, hyperparameters={}, seed=1),
            TrialStarted(**ids, attempt=1, slots=1, at=1.0),
            TrialMeasured(**ids, step=4, time=4, metric=0.5),
            AllocationEnded(
                **ids, allocation_id=f"{t}-a1", attempt=1, outcome=Outcome.COMPLETED, reason="",
                slots=1, seconds=1.0,
            ),
            CheckpointSaved(**ids, allocation_id=f"{t}-a1", checkpoint=checkpoint),
            *(TrainingReported(**report, step=turn * 5 + s, metrics={"a": 1.0}) for s in range(5)),
            ValidationReported(**report, step=turn, time=2, metrics={"loss": 0.1}),
            LogWritten(
                **ids, allocation_id=f"{t}-a1", rank=0, stream="stdout", lines=["x"],
                sequence=turn, at=1.0,
            ),
        ]  # fmt: skip
    return found


def tracked(e: str, turn: int = 0) -> list[Event]:
    """What a program of one of its trials logs through MLflow's API."""
    ids = {"experiment_id": f"mlflow{e}", "run_id": f"run{e}"}
    return [
        TrackingExperimentCreated(
            experiment_id=ids["experiment_id"], name="m", workspace="default", within=e, tags={},
            at=1.0,
        ),
        TrackingRunCreated(**ids, name="r", user="u", start_time=1, tags={"k": "v"}),
        TrackingLogged(**ids, params={"p": "1"}, tags={}),
        MetricLogged(**ids, points=[("loss", 1.0, turn, 1)]),
    ]  # fmt: skip


async def tell(bus: Bus, events: list[Event], turn: str) -> None:
    for number, event in enumerate(events):
        await bus.publish(event, id=f"{turn}-{number}-{'-'.join(event.key_values)}")


async def traces(settings: Settings, bus: Bus, e: str) -> list[str]:
    """All that names an experiment in Redis, in storage and in the log stream, but for the note
    that it was deleted."""
    found = []
    async with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        async for key in redis.scan_iter("*"):
            if not key.endswith(":deleted") and e in f"{key} {await content(redis, key)}":
                found.append(key)
    storage = Path(settings.storage_url.removeprefix("file://"))
    for kind in ("metrics", "artifacts"):
        for folder, folders, files in os.walk(storage / kind):  # one may go meanwhile
            found += [f"{folder}/{name}" for name in (*folders, *files) if e in name]
    if await bus.last_of(LOGS, all_of(LogWritten.type, e)):
        found.append("its log")
    return found


async def content(redis: Any, key: str) -> str:
    reads: dict[str, Callable[[], Awaitable[Any]]] = {
        "hash": lambda: redis.hgetall(key),
        "zset": lambda: redis.zrange(key, 0, -1),
        "string": lambda: redis.get(key),
    }
    kind = await redis.type(key)
    return str(await reads[kind]()) if kind in reads else ""


async def applied(settings: Settings, bus: Bus) -> None:
    """Wait until the read models that are read hold all that is in the streams."""
    store = RedisStore(settings.redis_url)
    try:
        async with asyncio.timeout(20):
            for stream in PROJECTED:
                while True:
                    store.generation = await store.current()
                    if await store.applied(stream.name) >= (await bus.extent(stream))[1]:
                        break
                    await asyncio.sleep(0.05)
    finally:
        await store.close()


async def filed(settings: Settings, name: str) -> None:
    """Wait until each kind of point of an experiment is in a file, and none else is to come."""
    storage = Path(settings.storage_url.removeprefix("file://")) / "metrics"
    store = RedisStore(settings.redis_url)
    try:
        async with asyncio.timeout(20):
            while True:
                store.generation = await store.current()
                held = [
                    await store.redis.exists(store.named(f"shoal:points_held:{s}"))
                    for s in (TRAINING.name, TRACKED.name)
                ]
                paths = [p for p in storage.rglob("*.parquet") if name in p.parent.name]
                if len({p.parts[-4] for p in paths}) == 3 and not any(held):
                    return
                await asyncio.sleep(0.05)
    finally:
        await store.close()


async def nothing(settings: Settings, bus: Bus, e: str) -> None:
    """Wait until nothing is left of an experiment."""
    found: list[str] = []
    for _ in range(150):
        if not (found := await traces(settings, bus, e)):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"still there: {found}")


async def keep(gateway: Gateway, e: str) -> int:
    """Log a file to MLflow; the status of the answer."""
    path = f"mlflow-artifacts/artifacts/mlflow{e}/run{e}/artifacts/notes"
    return (await gateway.http.put(f"/mlflow/api/2.0/{path}", content=b"x")).status_code


async def deleted(gateway: Gateway, settings: Settings) -> str:
    """An experiment that lived, whose points are in files, and that was deleted."""
    e = await gateway.submit()
    await tell(gateway.bus, life(e) + tracked(e), "first")
    await publish(gateway, SearchCompleted(experiment_id=e, reason="done"))
    await gateway.until(f"/v1/experiments/{e}", lambda row: row["state"] == "completed")
    await applied(settings, gateway.bus)
    await filed(settings, e)
    assert await keep(gateway, e) == 200
    assert len(await traces(settings, gateway.bus, e)) > 20
    answer = await gateway.http.delete(f"/v1/experiments/{e}")
    assert answer.status_code == 202, answer.text
    return e


async def still_nothing(settings: Settings, bus: Bus, e: str) -> None:
    """Another experiment's later points are in files, and there is still nothing of this one."""
    await tell(bus, life("other", 7) + tracked("other", 7), "other")
    await applied(settings, bus)
    await filed(settings, "other")
    await nothing(settings, bus, e)


async def test_a_deleted_experiment_leaves_nothing_and_late_events_bring_nothing_back(
    hasty: Settings, bus: Callable[..., Awaitable[Bus]]
) -> None:
    one = await bus("test")
    async with up(hasty, one) as gateway:
        e = await deleted(gateway, hasty)
        await nothing(hasty, one, e)
        assert await keep(gateway, e) == 404
        late = life(e, 1) + tracked(e, 1) + [ExperimentEdited(experiment_id=e, name="late")]
        await tell(one, [event for event in late if not isinstance(event, LogWritten)], "late")
        await still_nothing(hasty, one, e)


async def test_a_lost_redis_brings_nothing_back(
    hasty: Settings, bus: Callable[..., Awaitable[Bus]]
) -> None:
    one = await bus("test")
    async with up(hasty, one) as gateway:
        e = await deleted(gateway, hasty)
        await nothing(hasty, one, e)
        await gateway.redis.flushall()
        await gateway.until("/readyz", lambda found: found["status"] == "ready")
        await applied(hasty, one)
        await still_nothing(hasty, one, e)


@pytest.mark.parametrize("files", [False, True])
async def test_a_rebuilding_brings_nothing_back(
    hasty: Settings, bus: Callable[..., Awaitable[Bus]], files: bool
) -> None:
    one = await bus("test")
    async with up(hasty, one) as gateway:
        e = await deleted(gateway, hasty)
        await nothing(hasty, one, e)
        await rebuild(hasty, files_too=files)
        await still_nothing(hasty, one, e)


async def test_a_gateway_that_was_down_while_it_was_deleted_brings_nothing_back(
    hasty: Settings, bus: Callable[..., Awaitable[Bus]]
) -> None:
    """The files are there, the deletion was not applied, and what came meanwhile is mixed."""
    one = await bus("test")
    async with up(hasty, one) as gateway:
        e = await gateway.submit()
        await tell(one, life(e) + tracked(e), "first")
        await applied(hasty, one)
        await filed(hasty, e)
    await tell(one, life(e, 1), "between")
    gone = ExperimentDeleted(experiment_id=e, trial_ids=[f"{e}-{n}" for n in range(TRIALS)])
    await one.publish(gone, id="gone")
    await tell(one, life(e, 2) + tracked(e, 2), "after")
    async with up(hasty, one):
        await applied(hasty, one)
        await nothing(hasty, one, e)
        await still_nothing(hasty, one, e)


async def test_rows_are_not_written_before_it_is_known_what_was_deleted(
    hasty: Settings, bus: Callable[..., Awaitable[Bus]], tmp_path: Path
) -> None:
    """Also where the note of it is lost alone, at any moment."""
    one, store = await bus("gateway"), RedisStore(hasty.redis_url)
    await one.publish(ExperimentDeleted(experiment_id="gone1"), id="gone")
    running = asyncio.create_task(Projector(one, store, Files(f"file://{tmp_path}")).run())
    for turn in range(10):
        await tell(one, life("gone1", turn) + life("kept1", turn), f"turn {turn}")
        await store.redis.delete(store.named("shoal:deleted"))
    await applied(hasty, one)
    assert [key async for key in store.redis.scan_iter("*gone1*")] == []
    assert await store.redis.exists(store.named("shoal:trial:kept1-0"))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
