"""Rebuildings that are killed, that fail, and that meet one another."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from redis.asyncio import Redis

from shoal_bus.bus import LEASES, Bus
from shoal_bus.lease import Lease
from shoal_contract.events import TrainingReported, TrialCreated
from shoal_gateway.settings import Settings
from shoal_gateway.shell import rebuild

from . import processes
from .conftest import Gateway, up

STEPS = 600


@pytest.fixture
def known(alone: Settings, tmp_path: Path) -> Settings:
    """Settings of a gateway whose points stay in Redis."""
    return alone.model_copy(update={"token_file": tmp_path / "token"})


async def experiment(gateway: Gateway) -> str:
    """An experiment with points."""
    e = await gateway.submit()
    made = TrialCreated(experiment_id=e, trial_id=f"{e}-0", number=0, hyperparameters={}, seed=1)
    await gateway.bus.publish(made, id="created")
    for start in range(0, STEPS, 100):
        await asyncio.gather(*(report(gateway.bus, e, n) for n in range(start, start + 100)))
    await all_there(gateway, e)
    return e


async def report(bus: Bus, e: str, step: int) -> None:
    event = TrainingReported(
        experiment_id=e, trial_id=f"{e}-0", allocation_id="a", attempt=1, step=step,
        metrics={"loss": float(step)}, at=1.0,
    )  # fmt: skip
    await bus.publish(event, id=f"{e}-{step}")


async def all_there(gateway: Gateway, e: str, steps: int = STEPS) -> None:
    path = f"/v1/experiments/{e}/metrics?group=training&points=0"
    wanted = [({"loss": float(n)}, n) for n in range(steps)]
    await gateway.until(path, lambda m: [(i["metrics"], i["step"]) for i in m["items"]] == wanted)


async def rebuilt(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return await asyncio.to_thread(
        subprocess.run,
        processes.command("rebuild", *arguments),
        env=processes.environment(settings),
        capture_output=True,
        timeout=processes.WAIT,
        check=False,
    )


async def killed_half_way(settings: Settings, folder: Path, *arguments: str) -> None:
    """Begin a rebuilding, and kill it when it has written something."""
    process = processes.begin(settings, folder, "rebuild", *arguments)
    try:
        async with Redis.from_url(settings.redis_url) as redis, asyncio.timeout(processes.WAIT):
            while True:
                if await redis.keys("shoal:1:*"):
                    return
                await asyncio.sleep(0)
    finally:
        processes.kill(process)


@pytest.mark.parametrize("arguments", [(), ("--files",)])
async def test_one_that_is_killed_half_way_leaves_reads_as_they_were_and_the_next_one_works(
    known: Settings, bus: Callable[..., Awaitable[Bus]], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    one, hasty = await bus("test"), known.model_copy(update={"metrics_seconds": 0.2})
    async with up(known, one) as gateway:
        e = await experiment(gateway)
        await killed_half_way(hasty, tmp_path, *arguments)
        assert await gateway.redis.get("shoal:generation") is None
        await all_there(gateway, e)
        await report(one, e, STEPS)
        await all_there(gateway, e, STEPS + 1)
    async with up(known, one) as gateway:
        await all_there(gateway, e, STEPS + 1)
        done = await rebuilt(hasty, *arguments)
        assert done.returncode == 0, done.stderr
        assert await gateway.redis.get("shoal:generation") == b"1"
        await report(one, e, STEPS + 1)
        await all_there(gateway, e, STEPS + 2)
        assert not await gateway.redis.keys("shoal:0:*")
    async with up(known, one) as gateway:
        await all_there(gateway, e, STEPS + 2)


async def test_one_that_dies_before_storage_names_its_files_is_completed_by_the_gateway(
    known: Settings, bus: Callable[..., Awaitable[Bus]]
) -> None:
    one, metrics = await bus("test"), Path(known.storage_url.removeprefix("file://")) / "metrics"
    async with up(known, one) as gateway:
        e = await experiment(gateway)
    pointers = {path: path.read_bytes() for path in metrics.glob("*.json")}
    done = await rebuilt(known.model_copy(update={"metrics_seconds": 0.2}), "--files")
    assert done.returncode == 0, done.stderr
    assert list(metrics.rglob("*.parquet"))
    named = {path: path.read_bytes() for path in pointers}
    for path, old in pointers.items():
        assert named[path] != old
        path.write_bytes(old)
    async with up(known, one) as gateway:
        await all_there(gateway, e)
        for path, new in named.items():
            assert json.loads(path.read_bytes())["folder"] == json.loads(new)["folder"]
        await gateway.redis.flushall()
        await gateway.until("/readyz", lambda found: found["status"] == "ready")
        await all_there(gateway, e)


async def test_without_redis_it_says_so_in_a_sentence_and_fails(known: Settings) -> None:
    away = known.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    done = await rebuilt(away)
    assert done.returncode == 1
    *_, sentence = done.stderr.decode().strip().splitlines()
    assert sentence.startswith("The read models were not rebuilt: Redis does not answer")
    assert "Traceback" not in done.stderr.decode()


def block(settings: Settings) -> None:
    """Storage where nothing is and nothing can be written."""
    storage = Path(settings.storage_url.removeprefix("file://"))
    storage.mkdir()
    (storage / "metrics").symlink_to(storage / "nowhere" / "at all")


async def refusal(settings: Settings) -> str:
    with pytest.raises(SystemExit) as caught:
        await rebuild.main(settings, files_too=False)
    return str(caught.value)


async def test_without_nats_or_storage_it_gives_up(
    known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "ANSWER", 0.5)
    monkeypatch.setattr(rebuild, "STALLED", 1.0)
    nowhere = known.model_copy(update={"nats_url": f"nats://127.0.0.1:{free_port()}"})
    assert "NATS does not answer" in await refusal(nowhere)
    block(known)
    assert "Nothing was read for 1 s" in await refusal(known)


async def test_only_one_works_at_a_time(
    known: Settings,
    bus: Callable[..., Awaitable[Bus]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = await bus("test")
    lease = Lease(one, "gateway-rebuild", "another")
    await lease.acquire()
    monkeypatch.setattr(rebuild, "LEASE_TTL", 0.3)
    assert "Another rebuilding is under way" in await refusal(known)
    await lease.release()
    # It cannot go on, and then is no longer sure to be alone: all of its parts end.
    block(known)
    before = asyncio.all_tasks()
    monkeypatch.setattr(rebuild, "LEASE_TTL", 5.0)
    running = asyncio.create_task(refusal(known))
    bucket = await one.bucket(LEASES)
    await taken(bucket)
    await bucket.put("gateway-rebuild", b"another")
    assert "another rebuilding may have begun" in await running
    assert {t for t in asyncio.all_tasks() - before if "Projector" in repr(t)} == set()


async def taken(bucket: Any) -> None:
    """Wait until somebody has the lease."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Exception):
                if (await bucket.get("gateway-rebuild")).value != b"another":
                    return
            await asyncio.sleep(0.02)
