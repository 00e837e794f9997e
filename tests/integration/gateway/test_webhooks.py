"""Webhooks: a real receiver is told what happens, once, in a form that it can check."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from ports import free_port
from pydantic import SecretStr

from shoal_bus.bus import Bus
from shoal_contract.events import SearchCancelled, SearchPaused
from shoal_gateway.settings import Settings

from .conftest import Gateway, logged_in, serving
from .test_access import person, workspaces
from .test_gateway import publish


class Receiver:
    """Takes HTTP messages; answers 500 to the first `failures` of them."""

    def __init__(self, failures: int) -> None:
        self.failures, self.got = failures, list[tuple[dict[str, str], bytes]]()
        self.arrived = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): text for name, _, text in (h.partition(": ") for h in head)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.failures -= 1
        status = b"500 No" if self.failures >= 0 else b"204 Yes"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        async with self.arrived:
            self.got.append((headers, body))
            self.arrived.notify_all()

    async def messages(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        async with asyncio.timeout(20), self.arrived:
            await self.arrived.wait_for(lambda: len(self.got) >= count)
        return self.got


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    made = Receiver(failures=1)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        yield made, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"


@pytest.fixture
async def two(
    alone: Settings,
    bus: Callable[..., Awaitable[Bus]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Gateway]:
    """One of two replicas that may tell receivers on this machine."""
    changes = {"secret_key": SecretStr("k" * 32), "webhook_networks": "127.0.0.0/8"}
    one = alone.model_copy(update=changes)
    other = one.model_copy(update={"port": free_port(), "replica": "gateway-1"})
    async with (
        logged_in(one, await bus("test"), tmp_path, monkeypatch) as made,
        serving(other, await bus("test", "test-1")),
    ):
        yield made


async def test_a_receiver_is_told_once_of_its_workspace(
    two: Gateway, receiver: tuple[Receiver, str]
) -> None:
    await workspaces(two, "red")
    ann, ed = await person(two, "ann", red="admin"), await person(two, "ed", red="editor")
    got, url = receiver
    path, body = "/v1/workspaces/red/webhooks", {"url": url, "events": ["search.c", "trial."]}
    assert await ed.status("POST", path, json=body) == 403
    answer = await ann.ask("POST", path, json=body)
    assert answer.status_code == 201, answer.text
    hook = answer.json()
    assert hook["secret"] not in (await ann.ask("GET", path)).text
    red = [await two.submit(resources={"workspace": "red"}) for _ in range(5)]
    default = await two.submit()
    for e in (*red, default):
        cancelled = SearchCancelled(experiment_id=e, reason="asked", trials=0)
        await publish(two, SearchPaused(experiment_id=e), cancelled)
    await got.messages(6)
    last = await two.submit(resources={"workspace": "red"})
    await publish(two, SearchCancelled(experiment_id=last, reason="asked", trials=0))
    messages = await got.messages(7)
    told = []
    for headers, content in messages:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + content
        digest = hmac.new(hook["secret"].encode(), signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert headers["host"] == url.split("/")[2]
        message = json.loads(content)
        assert message["type"] == "search.cancelled"
        told.append(message["data"]["experiment_id"])
    assert sorted(set(told)) == sorted([*red, last])
    assert len(messages) == 7  # the first was told again, since it was answered with 500
    assert len({headers["webhook-id"] for headers, _ in messages}) == 6
    assert await ann.status("DELETE", f"{path}/{hook['webhook_id']}") == 204
    assert await ann.status("DELETE", f"{path}/{hook['webhook_id']}") == 404


async def test_a_dead_receiver_keeps_no_other_waiting(
    two: Gateway, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    got.failures = 0
    path = "/v1/workspaces/default/webhooks"
    for target in (f"http://127.0.0.1:{free_port()}/", url):
        answer = await two.http.post(path, json={"url": target, "events": ["search."]})
        assert answer.status_code == 201, answer.text
    experiments = [await two.submit() for _ in range(12)]  # more than one receiver is sent at once
    for e in experiments:
        await publish(two, SearchCancelled(experiment_id=e, reason="asked", trials=0))
    messages = await got.messages(12)
    told = {json.loads(content)["data"]["experiment_id"] for _, content in messages}
    assert told == set(experiments)


async def test_no_webhook_leads_into_our_own_network(keyed: Gateway) -> None:
    path = "/v1/workspaces/default/webhooks"
    for url in (
        "http://127.0.0.1:6379/", "http://localhost/", "http://[::1]/", "http://169.254.169.254/",
        "http://0x7f.1/", "http://2130706433/", "file:///etc/passwd", "http://a/\r\nX: y",
    ):  # fmt: skip
        answer = await keyed.http.post(path, json={"url": url, "events": ["trial."]})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:shoal:problem:address"), (
            url
        )
    for events in ([], ["user."], ["log."], ["metric."], ["secret."]):
        body = {"url": "https://93.184.215.14/", "events": events}
        assert (await keyed.http.post(path, json=body)).status_code == 422
