"""A platform with a feed, and somebody who reads it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import pytest
from conftest import NatsServer
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from ports import free_port
from pydantic import SecretStr
from redis.asyncio import Redis

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.callout import Issuer, draw_issuer
from shoal_contract.subjects import STREAMS, feed_stream
from shoal_gateway.core.feed import inbox
from shoal_gateway.settings import Settings

from ..conftest import Gateway, logged_in
from ..test_access import Person, person, workspaces

ROOT = Path(__file__).parents[4]
KEY = draw_issuer()
OWN = (ROOT / "deploy" / "feed.conf").read_text().partition("authorization")
ACCOUNTS = (ROOT / "docs" / "events.md").read_text().partition("accounts {")
ASK = "$JS.API"


@dataclass
class Place:
    """Where the platform is, and its feed."""

    nats_url: str
    feed: NatsServer
    account: str

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "nats_url": self.nats_url,
            "feed_url": f"nats://gateway:pass@127.0.0.1:{self.feed.port}",
            "feed_key": SecretStr(KEY),
            "feed_account": self.account,
        }


@dataclass
class Reader:
    """Somebody at the feed, and what the server refused."""

    nc: Client
    refused: list[str] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, workspace: str) -> Any:
        return await self.nc.jetstream().subscribe(
            f"shoal.feed.{workspace}.>", stream=feed_stream(workspace), ordered_consumer=True
        )

    async def refuses(self, work: Any) -> None:
        """See that the server refuses what `work` sends."""
        self.told.clear()
        await work
        await self.nc.flush()
        async with asyncio.timeout(5):
            await self.told.wait()


@contextlib.contextmanager
def started(server: NatsServer) -> Iterator[NatsServer]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(params=["server", "account"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A feed on a server of its own, or in an account of the platform's, as the documentation has
    them."""
    monkeypatch.setenv("SHOAL_FEED_ISSUER", Issuer(KEY).public)
    for name in ("SHOAL_FEED_PASSWORD", "A", "B"):
        monkeypatch.setenv(name, "pass")
    if request.param == "account":
        config = "".join(ACCOUNTS[1:]).partition("```")[0]
        with started(NatsServer(tmp_path / "nats", config)) as one:
            yield Place(f"nats://shoal:pass@127.0.0.1:{one.port}", one, "FEED")
        return
    with (
        started(NatsServer(tmp_path / "nats")) as one,
        started(NatsServer(tmp_path / "feed", "".join(OWN[1:]))) as other,
    ):
        yield Place(one.url, other, "$G")


@pytest.fixture
async def platform(
    place: Place, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    """A gateway with a feed, and two workspaces."""
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    async with running(place, redis_url, tmp_path, monkeypatch) as made:
        await workspaces(made, "cells", "ants")
        yield made


@contextlib.asynccontextmanager
async def running(
    place: Place, redis_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "g"
) -> AsyncIterator[Gateway]:
    settings = Settings(
        redis_url=redis_url, storage_url=f"file://{folder / 'storage'}", port=free_port(),
        replica=name, **place.settings,
    )  # fmt: skip
    bus = await Bus.connect(BusSettings(nats_url=place.nats_url, service="test", replica="test"))
    try:
        async with logged_in(settings, bus, folder, monkeypatch) as made:
            yield made
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def reading(gateway: Gateway, place: Place, token: str) -> AsyncIterator[Reader]:
    """Connect to the feed."""
    me = await gateway.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    found = Reader(Client())

    async def note(error: Exception) -> None:
        found.refused.append(str(error))
        found.told.set()

    async def gone() -> None:
        found.closed.set()

    for last in (False, False, True):
        try:
            await found.nc.connect(
                f"nats://127.0.0.1:{place.feed.port}",
                token=token,
                inbox_prefix=inbox(me.json()["token_id"]).encode(),
                error_cb=note,
                closed_cb=gone,
                allow_reconnect=False,
            )
            break
        except nats.errors.Error:  # the server gives the gateway two seconds, and this may be busy
            if last:
                raise
            found.nc = Client()
            found.refused.clear()
            found.closed.clear()
    try:
        yield found
    finally:
        await found.nc.close()


async def may_connect(place: Place, **options: Any) -> bool:
    refused: list[Exception] = []

    async def note(error: Exception) -> None:
        refused.append(error)

    address = f"nats://127.0.0.1:{place.feed.port}"
    try:
        nc = await nats.connect(address, allow_reconnect=False, error_cb=note, **options)
    except nats.errors.Error:
        return False
    await nc.close()
    return True


async def submitted(gateway: Gateway, workspace: str) -> str:
    return await gateway.submit(resources={"workspace": workspace})


async def held(place: Place, workspace: str) -> int:
    """How many events a workspace's stream has."""
    nc = await nats.connect(place.settings["feed_url"])
    try:
        found = await nc.jetstream().stream_info(feed_stream(workspace))
    except NotFoundError:
        return 0
    finally:
        await nc.close()
    return int(found.state.messages)


async def holding(place: Place, workspace: str, count: int) -> None:
    """Wait until a workspace's stream has so many events."""
    for _ in range(600):
        if await held(place, workspace) >= count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{workspace} has {await held(place, workspace)} events, not {count}")


async def extents(gateway: Gateway) -> list[tuple[int, int]]:
    """Of the platform's streams, but for those that tell of requests."""
    return [await gateway.bus.extent(stream) for stream in STREAMS if not stream.private]


async def bob(gateway: Gateway) -> Person:
    return await person(gateway, "bob", cells="viewer")
