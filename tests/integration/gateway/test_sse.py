"""Readers of the event stream that do not behave."""

import asyncio
import re
import socket
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from shoal_contract.events import LogWritten, SearchPaused
from shoal_gateway.settings import Settings
from shoal_gateway.shell.sse import EventStream, Flow, Readers

from .conftest import Gateway, logged_in

Message = MutableMapping[str, Any]


async def receive() -> Message:
    """A reader who never leaves."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_reader_that_takes_nothing_is_dropped(gateway: Gateway) -> None:
    for i in range(20):
        await gateway.bus.publish(SearchPaused(experiment_id=f"e{i}"), id=f"p{i}")
    sent, readers = 0, Readers()

    async def send(_: Message) -> None:
        nonlocal sent
        sent += 1
        if sent > 5:
            await asyncio.Event().wait()

    for version in ("2.3", "2.4"):
        sent = 0
        response = EventStream(Flow(gateway.bus, {}).messages(), 0.3, readers)
        scope = {"type": "http", "asgi": {"spec_version": version}, "method": "GET", "headers": []}
        async with asyncio.timeout(5):
            await response(scope, receive, send)
        assert sent == 7  # the sixth, and why there is no other
    assert readers.dropped == 2


async def test_silence_is_not_the_end_of_what_happened(gateway: Gateway, nats_server: Any) -> None:
    for i in range(5):
        await gateway.bus.publish(SearchPaused(experiment_id=f"e{i}"), id=f"p{i}")

    async def told() -> list[Any]:
        entries = Flow(gateway.bus, {}, follow=False).entries()
        return [event["data"]["experiment_id"] async for _, event in entries if event]

    nats_server.stop()
    reading = asyncio.ensure_future(told())
    ended, _ = await asyncio.wait([reading], timeout=1.0)
    assert not ended
    nats_server.start()
    async with asyncio.timeout(20):
        assert await reading == [f"e{i}" for i in range(5)]


async def test_a_reader_that_wakes_up_late_is_told_why(gateway: Gateway) -> None:
    for i in range(5):
        await gateway.bus.publish(SearchPaused(experiment_id=f"e{i}"), id=f"p{i}")
    taken: list[bytes] = []
    dropped, readers = asyncio.Event(), Readers()

    async def send(message: Message) -> None:
        if len(taken) == 3 and not dropped.is_set():
            try:
                await asyncio.Event().wait()
            finally:
                dropped.set()
        taken.append(message.get("body", b""))

    response = EventStream(Flow(gateway.bus, {}).messages(), 0.3, readers)
    scope = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "GET", "headers": []}
    async with asyncio.timeout(5):
        await response(scope, receive, send)
    assert (len(taken), readers.dropped) == (4, 1)
    assert taken[-1].startswith(b"event: problem\n")
    assert b'"type": "urn:shoal:problem:slow"' in taken[-1]


async def test_a_reader_who_was_dropped_misses_nothing(
    alone: Settings, bus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = alone.model_copy(update={"stall_timeout": 0.3})
    async with logged_in(settings, await bus("test"), tmp_path, monkeypatch) as gateway:
        e = await gateway.submit()
        for n in range(40):
            written = LogWritten(
                experiment_id=e, trial_id=f"{e}-0", allocation_id="a", rank=0, at=1.0,
                lines=["x" * 1000] * 200, stream="stdout", sequence=200 * n,
            )  # fmt: skip
            await gateway.bus.publish(written, id=f"log-{n}")
        token = gateway.http.headers["Authorization"]
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", settings.port))
            request = "GET /v1/events?since=start HTTP/1.1\r\nHost: x\r\n"
            raw.sendall(f"{request}Authorization: {token}\r\n\r\n".encode())
            for _ in range(200):
                if "shoal_readers_dropped 1" in (await gateway.http.get("/metrics")).text:
                    break
                await asyncio.sleep(0.1)
            taken = await asyncio.to_thread(rest, raw)
        whole = re.findall(rb"id: (\S+)\nevent: \S+\ndata: .*\n\n", taken)
        assert 0 < len(whole) < 41
        last = {"Last-Event-ID": whole[-1].decode()}
        params = {"follow": "false"}
        answer = await gateway.http.get("/v1/events", params=params, headers=last)
        others = re.findall(r"^event: \S+$", answer.text, re.MULTILINE)
        assert len(whole) + len(others) == 41


def rest(raw: socket.socket) -> bytes:
    """All that still comes."""
    raw.settimeout(10)
    found = b""
    while more := raw.recv(2**20):
        found += more
    return found


async def test_the_client_and_its_command_follow_a_real_gateway(gateway: Gateway) -> None:
    from shoal.client import Client

    e = await gateway.submit()
    with Client(gateway.url) as client:
        found = await asyncio.to_thread(
            lambda: list(client.events(experiment=e, since="start", follow=False))
        )
        assert [x["type"] for x in found] == ["experiment.submitted"]
        assert [x["experiment_id"] for x in await asyncio.to_thread(client.experiments)] == [e]
        assert (await asyncio.to_thread(client.pause, e))["requested"] == "pause"
