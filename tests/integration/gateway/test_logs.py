"""Logs: their end, parts of them, and as they are written."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shoal_bus.bus import Bus
from shoal_contract.events import LogWritten, SearchCancelled, TrialCompleted
from shoal_contract.subjects import all_of
from shoal_gateway.core.log_filter import LogFilter
from shoal_gateway.settings import Settings
from shoal_gateway.shell.log_reader import LogReader, all_read, close

from .conftest import Gateway, logged_in
from .test_gateway import publish, trial_events


async def write(gateway: Gateway, e: str, first: int, *lines: str, trial: int = 0) -> None:
    event = LogWritten(
        experiment_id=e, trial_id=f"{e}-{trial}", allocation_id="a", rank=0, stream="stdout",
        lines=list(lines), sequence=first, at=1.0,
    )  # fmt: skip
    await gateway.bus.publish(event, id=f"log-{e}-{trial}-{first}")


def lines(answer: Any) -> list[str]:
    return [line for item in answer["items"] for line in item["lines"]]


async def test_the_end_of_a_log_among_many(gateway: Gateway) -> None:
    e, other = await gateway.submit(), await gateway.submit(name="other")
    for n in range(3):
        await write(gateway, e, n * 2, f"line {n * 2}", f"line {n * 2 + 1}")
    await asyncio.gather(*(write(gateway, other, n, "noise") for n in range(2500)))
    await write(gateway, e, 6, "line 6")
    path = f"/v1/experiments/{e}/logs"
    answer = await gateway.get(path, tail=4)
    assert lines(answer) == ["line 3", "line 4", "line 5", "line 6"]
    assert answer["items"][0]["sequence"] == 3
    assert lines(await gateway.get(path, tail=100)) == [f"line {n}" for n in range(7)]
    assert lines(await gateway.get(path, after=answer["next"])) == []
    await write(gateway, e, 7, "line 7")
    assert lines(await gateway.get(path, after=answer["next"])) == ["line 7"]


async def test_parts_of_a_log(gateway: Gateway) -> None:
    e = await gateway.submit()
    await write(gateway, e, 0, "INFO loss 1", "ERROR bad", "at 2", "INFO loss 3")
    path = f"/v1/experiments/{e}/logs"
    assert lines(await gateway.get(path, level="error")) == ["ERROR bad", "at 2"]
    found = await gateway.get(path, search="loss")
    assert lines(found) == ["INFO loss 1", "INFO loss 3"]
    assert found["complete"]
    none = await gateway.get(path, regex="^none$")
    assert (none["items"], none["next"] > 0) == ([], True)
    assert (await gateway.http.get(path, params={"regex": "("})).status_code == 422
    assert (await gateway.http.get(path, params={"level": "loud"})).status_code == 422


async def follow(
    gateway: Gateway,
    e: str,
    begun: asyncio.Event,
    headers: dict[str, str] | None = None,
    trial: str | None = None,
) -> list[tuple[str, str]]:
    """What comes until the stream ends: each line with its event's id."""
    found, last = [], ""
    params = {"follow": "true", "tail": "1"} | ({} if trial is None else {"trial": trial})
    async with (
        asyncio.timeout(20),
        gateway.http.stream(
            "GET", f"/v1/experiments/{e}/logs", params=params, headers=headers or {}
        ) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                last = line[4:]
                begun.set()
            elif line.startswith("data: {") and '"lines"' in line:
                found += [(last, text) for text in json.loads(line[6:])["lines"]]
    return found


async def test_a_log_is_followed_to_the_experiments_end(gateway: Gateway) -> None:
    e = await gateway.submit()
    await write(gateway, e, 0, "early", "before")
    begun = asyncio.Event()
    following = asyncio.create_task(follow(gateway, e, begun))
    await asyncio.wait_for(begun.wait(), 10)
    for n in range(2, 5):
        await write(gateway, e, n, f"line {n}")
    ended = SearchCancelled(experiment_id=e, reason="asked", trials=0)
    await gateway.bus.publish(ended, id="ended")
    found = await following
    assert [text for _, text in found] == ["before", "line 2", "line 3", "line 4"]
    resumed = await follow(gateway, e, asyncio.Event(), {"Last-Event-ID": found[1][0]})
    assert [text for _, text in resumed] == ["line 3", "line 4"]


async def test_the_log_of_a_trial_is_followed_to_its_end(gateway: Gateway) -> None:
    e = await gateway.submit()
    path = f"/v1/experiments/{e}/logs"
    assert (await gateway.http.get(path, params={"trial": f"{e}-0"})).status_code == 404
    await publish(gateway, *trial_events(e))
    await gateway.until(f"/v1/experiments/{e}/trials/{e}-0", lambda t: t["trial_id"])
    await write(gateway, e, 0, "line 0")
    begun = asyncio.Event()
    following = asyncio.create_task(follow(gateway, e, begun, trial=f"{e}-0"))
    await asyncio.wait_for(begun.wait(), 10)
    await write(gateway, e, 0, "of another", trial=1)
    await write(gateway, e, 1, "line 1")
    await publish(gateway, TrialCompleted(experiment_id=e, trial_id=f"{e}-0", reason="done"))
    assert [text for _, text in await following] == ["line 0", "line 1"]


async def test_a_log_is_not_read_to_its_end_because_nats_is_silent(
    gateway: Gateway, nats_server: Any
) -> None:
    e = await gateway.submit()
    for n in range(3):
        await write(gateway, e, n, f"line {n}")
    log = LogReader(gateway.bus, all_of("log.written", e), LogFilter(), 5.0)
    consumer = log.consumer(0, batch=1)
    found = await log.fetch(consumer, 5.0)
    nats_server.stop()
    assert not await all_read(consumer)
    nats_server.start()
    async with asyncio.timeout(20):
        while not await all_read(consumer):
            found += await log.fetch(consumer, 0.1)
    assert [line for item in found for line in item["lines"]] == ["line 0", "line 1", "line 2"]
    await close(consumer)


async def test_a_follower_of_what_is_never_written_is_kept_awake(gateway: Gateway) -> None:
    e = await gateway.submit()
    ended = asyncio.Event()

    async def noise() -> None:
        n = 0
        while not ended.is_set():
            await write(gateway, e, n, f"line {n}")
            n += 1

    writing = asyncio.create_task(noise())
    params = {"follow": "true", "search": "nothing of the kind"}
    path = f"/v1/experiments/{e}/logs"
    places: list[int] = []
    try:
        async with (
            asyncio.timeout(20),
            gateway.http.stream("GET", path, params=params) as response,
        ):
            async for line in response.aiter_lines():
                assert not line.startswith("data:")
                if line.startswith("id: "):
                    places.append(int(line[4:]))
                if len(places) == 3:
                    break
    finally:
        ended.set()
        await writing
    assert 0 == places[0] < places[1] < places[2]


async def test_the_end_of_a_log_that_takes_too_long(
    alone: Settings,
    bus: Callable[..., Awaitable[Bus]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasty = alone.model_copy(update={"read_timeout": 1e-6})
    async with logged_in(hasty, await bus("test"), tmp_path, monkeypatch) as gateway:
        e = await gateway.submit()
        await write(gateway, e, 0, "line")
        answer = await gateway.http.get(f"/v1/experiments/{e}/logs", params={"tail": 1})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
