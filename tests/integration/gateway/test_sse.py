"""Readers of the event stream that do not behave."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from shoal_contract.events import SearchPaused
from shoal_gateway.shell.sse import EventStream, Flow

from .conftest import Gateway


async def test_a_reader_that_takes_nothing_is_dropped(gateway: Gateway) -> None:
    for i in range(20):
        await gateway.bus.publish(SearchPaused(experiment_id=f"e{i}"), id=f"p{i}")
    sent = 0

    async def send(_: MutableMapping[str, Any]) -> None:
        nonlocal sent
        sent += 1
        if sent > 5:
            await asyncio.Event().wait()

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    response = EventStream(Flow(gateway.bus, {}).messages(), stall_timeout=0.3)
    for version in ("2.3", "2.4"):
        sent = 0
        scope = {"type": "http", "asgi": {"spec_version": version}, "method": "GET", "headers": []}
        async with asyncio.timeout(5):
            await response(scope, receive, send)
        assert sent == 6
        response = EventStream(Flow(gateway.bus, {}).messages(), stall_timeout=0.3)


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
