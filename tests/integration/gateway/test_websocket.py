"""Events over a WebSocket, with a client as programs and browsers have it."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from integration.gateway.conftest import serving
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shoal_bus.bus import Bus
from shoal_contract.events import LogWritten
from shoal_gateway.settings import Settings

from .conftest import Gateway
from .test_gateway import publish


def address(gateway: Gateway, **params: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return f"{gateway.url.replace('http', 'ws').rstrip('/')}/v1/events/ws?{query}"


def opened(gateway: Gateway, **params: str) -> Any:
    headers = {"Authorization": gateway.http.headers["Authorization"]}
    return connect(address(gateway, **params), additional_headers=headers)


async def next_event(reader: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            found: dict[str, Any] = json.loads(await reader.recv())
            if "type" in found:
                return found


async def test_events_come_with_positions_to_go_on_from(gateway: Gateway) -> None:
    e = await gateway.submit(name="first")
    async with opened(gateway, since="start", experiment=e) as reader:
        first = await next_event(reader)
        assert (first["type"], first["data"]["experiment_id"]) == ("experiment.submitted", e)
        await gateway.http.post(f"/v1/experiments/{e}/pause")
        second = await next_event(reader)
    await gateway.http.post(f"/v1/experiments/{e}/resume")
    async with opened(gateway, after=second["position"], experiment=e) as reader:
        assert (await next_event(reader))["type"] == "experiment.resume_requested"


async def test_what_has_happened_ends_with_a_reason(gateway: Gateway) -> None:
    await gateway.submit()
    async with opened(gateway, since="start", follow="false", type="experiment.") as reader:
        assert (await next_event(reader))["type"] == "experiment.submitted"
        with pytest.raises(ConnectionClosed) as closed:
            await next_event(reader)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "all was told")


async def test_a_browser_shows_its_token_as_a_subprotocol(gateway: Gateway) -> None:
    token = gateway.http.headers["Authorization"].removeprefix("Bearer ")
    names: list[Any] = ["shoal.events", f"bearer.{token}"]
    async with connect(address(gateway, since="now"), subprotocols=names) as reader:
        assert reader.subprotocol == "shoal.events"
        assert "position" in json.loads(await reader.recv())


async def test_a_position_that_is_none_of_ours_is_told(gateway: Gateway) -> None:
    async with opened(gateway, after="x") as reader:
        with pytest.raises(ConnectionClosed) as closed:
            await next_event(reader)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, "none of ours" in closed.value.rcvd.reason) == (4400, True)


async def test_a_wish_that_is_none_is_refused(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        async with opened(gateway, since="then"):
            pass


async def test_nobody_without_a_token_is_let_in(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        async with connect(address(gateway)):
            pass


async def test_a_reader_who_takes_nothing_is_dropped(
    alone: Settings, bus: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file = tmp_path / "token"
    settings = alone.model_copy(update={"token_file": file, "stall_timeout": 0.5})
    other: Bus = await bus("test")
    async with serving(settings, other) as gateway:
        gateway.http.headers["Authorization"] = f"Bearer {file.read_text().strip()}"
        e = await gateway.submit()
        lines = ["x" * 1000] * 200
        for n in range(60):
            written = LogWritten(
                experiment_id=e, trial_id=f"{e}-0", allocation_id=f"{e}-0-a1", attempt=1, rank=0,
                at=float(n), lines=lines, stream="stdout", sequence=200 * n,
            )  # fmt: skip
            await publish(gateway, written)
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", settings.port))
        head = (
            "GET /v1/events/ws?since=start HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Version: 13\r\nAuthorization: {gateway.http.headers['Authorization']}"
            "\r\n\r\n"
        )
        raw.sendall(head.encode())
        async with asyncio.timeout(20):
            while "took nothing, and was dropped" not in caplog.text:
                assert (await gateway.http.get("/livez")).status_code == 200
                await asyncio.sleep(0.05)
            assert b"Nothing was taken for 0.5 s" in await asyncio.to_thread(rest, raw)


def rest(raw: socket.socket) -> bytes:
    """All that still comes; its end."""
    raw.settimeout(10)
    last = b""
    with raw:
        while more := raw.recv(2**20):
            last = (last + more)[-1000:]
    return last
