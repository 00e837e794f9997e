"""A gateway of the test's own, with real NATS, Redis and HTTP."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from shoal_bus.bus import Bus
from shoal_gateway.__main__ import main
from shoal_gateway.settings import Settings

CONFIG: dict[str, Any] = {
    "name": "digits",
    "entrypoint": "python train.py",
    "hyperparameters": {"lr": {"type": "log", "minval": -4, "maxval": -1}},
    "searcher": {"name": "random", "metric": "loss", "max_time": 10, "max_trials": 4},
}


class Gateway:
    """What a test works with."""

    def __init__(self, http: httpx.AsyncClient, bus: Bus, redis: Redis, storage: Path) -> None:
        self.http, self.bus, self.redis, self.storage = http, bus, redis, storage
        self.url = str(http.base_url)

    async def submit(self, **changes: Any) -> str:
        body = {"config": CONFIG | changes, "bundle": None}
        response = await self.http.post("/v1/experiments", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["experiment_id"])

    async def get(self, path: str, **params: Any) -> Any:
        response = await self.http.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def until(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """What is at a path, once something holds of it."""
        found: Any = None
        for _ in range(100):
            response = await self.http.get(path)
            if response.status_code == 200 and holds(found := response.json()):
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{path} never got there: {response.status_code} {found}")


@pytest.fixture
async def gateway(
    bus: Callable[..., Awaitable[Bus]], nats_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Gateway]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    redis = Redis.from_url(redis_url)
    await redis.flushall()
    settings = Settings(
        nats_url=nats_url,
        redis_url=redis_url,
        storage_url=f"file://{tmp_path / 'storage'}",
        port=port,
        keep_alive=0.5,
    )
    running = asyncio.create_task(main(settings))
    other = await bus("test")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        made = Gateway(http, other, redis, tmp_path / "storage")
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                if (await http.get("/readyz")).status_code == 200:
                    break
            assert not running.done(), running
            await asyncio.sleep(0.05)
        yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await redis.aclose()
