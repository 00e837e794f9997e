"""A gateway of the test's own, with real NATS, Redis and HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_port
from pydantic import SecretStr
from redis.asyncio import Redis

from shoal.cli.app import main as command
from shoal_bus.bus import Bus
from shoal_gateway.__main__ import main
from shoal_gateway.settings import Settings

from .answers import Checked

CONFIG: dict[str, Any] = {
    "name": "digits",
    "entrypoint": "python train.py",
    "hyperparameters": {"lr": {"type": "log", "minval": -4, "maxval": -1}},
    "searcher": {"name": "random", "metric": "loss", "max_time": 10, "max_trials": 4},
}

Shoal = Callable[..., Any]


class Gateway:
    """What a test works with."""

    def __init__(
        self, http: httpx.AsyncClient, bus: Bus, redis: Redis, storage: Path, checked: Checked
    ) -> None:
        self.http, self.bus, self.redis, self.storage = http, bus, redis, storage
        self.checked = checked
        """Of what `http` got answers; each was held against the published document."""
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


@contextlib.asynccontextmanager
async def serving(settings: Settings, bus: Bus) -> AsyncIterator[Gateway]:
    """A gateway that is ready."""
    storage = Path(settings.storage_url.removeprefix("file://"))
    running, checked = asyncio.create_task(main(settings)), Checked()
    url = f"http://127.0.0.1:{settings.port}"
    async with (
        Redis.from_url(settings.redis_url) as redis,
        httpx.AsyncClient(base_url=url, timeout=20, event_hooks={"response": [checked]}) as http,
    ):
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                if (await http.get("/readyz")).status_code == 200:
                    break
            assert not running.done(), running
            await asyncio.sleep(0.05)
        else:
            running.cancel()
            raise TimeoutError("the gateway did not become ready")
        try:
            yield Gateway(http, bus, redis, storage, checked)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.timeout(30):
                    await running


@pytest.fixture
async def alone(nats_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings of a gateway that has NATS for itself, and an empty Redis."""
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    return Settings(
        nats_url=nats_url,
        redis_url=redis_url,
        storage_url=f"file://{tmp_path / 'storage'}",
        port=free_port(),
        keep_alive=0.5,
    )


@contextlib.asynccontextmanager
async def up(settings: Settings, bus: Bus) -> AsyncIterator[Gateway]:
    """A gateway with a `token_file`, whose `http` is logged in as an administrator of the
    cluster."""
    assert settings.token_file is not None
    async with serving(settings, bus) as made:
        token = settings.token_file.read_text().strip()
        made.http.headers["Authorization"] = f"Bearer {token}"
        yield made


@contextlib.asynccontextmanager
async def logged_in(
    settings: Settings, bus: Bus, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gateway]:
    """The same, and so are `shoal.Client` and commands."""
    file = folder / "token"
    async with up(settings.model_copy(update={"token_file": file}), bus) as made:
        monkeypatch.setenv("SHOAL_TOKEN", file.read_text().strip())
        yield made


@pytest.fixture
async def gateway(
    alone: Settings,
    bus: Callable[..., Awaitable[Bus]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Gateway]:
    async with logged_in(alone, await bus("test"), tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
async def keyed(
    alone: Settings,
    bus: Callable[..., Awaitable[Bus]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Gateway]:
    """The same, of a platform that keeps secrets, with the key `"k" * 32`."""
    settings = alone.model_copy(update={"secret_key": SecretStr("k" * 32)})
    async with logged_in(settings, await bus("test"), tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def shoal(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shoal:
    """The command, as a person types it: its exit code, and what it prints."""
    monkeypatch.setenv("SHOAL_URL", gateway.url)

    async def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            await asyncio.to_thread(command, words)
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out + said.err

    return run
