"""Pages of other sites ask from a browser, if they are listed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from shoal_bus.bus import Bus
from shoal_gateway.settings import Settings

from .conftest import Gateway, logged_in

BOARD = "https://board.lab"
ALLOWED = "access-control-allow-origin"


@pytest.fixture
async def shared(
    alone: Settings,
    bus: Callable[..., Awaitable[Bus]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Gateway]:
    settings = alone.model_copy(update={"cors_origins": f" {BOARD}/, http://localhost:5173"})
    async with logged_in(settings, await bus("test"), tmp_path, monkeypatch) as made:
        yield made


async def before(gateway: Gateway, origin: str, headers: str) -> httpx.Response:
    """What a browser asks before it lets a page send such a request; it shows no token."""
    async with httpx.AsyncClient(base_url=gateway.url) as browser:
        return await browser.options(
            "/v1/experiments",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": headers,
            },
        )


async def test_pages_of_listed_origins_may_ask(shared: Gateway) -> None:
    wanted = "authorization,content-type,idempotency-key,shoal-after"
    for origin in (BOARD, "http://localhost:5173"):
        answer = await before(shared, origin, wanted)
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, origin)
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in answer.headers
    for origin, headers in (("https://evil.example", wanted), (BOARD, "x-other")):
        assert (await before(shared, origin, headers)).status_code == 400
    answer = await shared.http.get("/v1/me", headers={"Origin": BOARD})
    assert answer.headers[ALLOWED] == BOARD
    assert "Shoal-As-Of" in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]
    answer = await shared.http.get("/v1/me", headers={"Origin": "https://evil.example"})
    assert ALLOWED not in answer.headers
    async with httpx.AsyncClient(base_url=shared.url) as nobody:
        answer = await nobody.get("/v1/me", headers={"Origin": BOARD})
        assert (answer.status_code, answer.headers[ALLOWED]) == (401, BOARD)


async def test_nobody_is_listed_unless_one_says_so(gateway: Gateway) -> None:
    assert (await before(gateway, BOARD, "authorization")).status_code == 401
    answer = await gateway.http.get("/v1/me", headers={"Origin": BOARD})
    assert answer.status_code == 200
    assert ALLOWED not in answer.headers
