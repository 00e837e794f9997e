"""Logging in with an OpenID Connect provider: a real one, of the test's own."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fakes.oidc import CLIENT, SECRET, FakeProvider

from shoal.cli import login
from shoal.client import Client
from shoal_bus.bus import Bus
from shoal_gateway.settings import Settings
from shoal_gateway.shell.oidc import challenge_of

from .conftest import Gateway, serving
from .test_access import Person

VERIFIER = "v" * 43


@pytest.fixture
async def provider(alone: Settings) -> AsyncIterator[FakeProvider]:
    made = FakeProvider(f"http://127.0.0.1:{alone.port}/v1/login/oidc/callback")
    running = asyncio.create_task(made.server.serve([made.listening]))
    yield made
    made.server.should_exit = True
    await running


@pytest.fixture
async def door(
    alone: Settings, provider: FakeProvider, bus: Callable[..., Awaitable[Bus]]
) -> AsyncIterator[Gateway]:
    changes = {
        "public_url": f"http://127.0.0.1:{alone.port}", "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT, "oidc_client_secret": SECRET, "oidc_role": "viewer",
    }  # fmt: skip
    async with serving(alone.model_copy(update=changes), await bus("test")) as made:
        yield made


async def come_back(door: Gateway, browser: httpx.AsyncClient | None = None) -> httpx.Response:
    """The gateway's answer to a browser that comes back from the provider."""
    params = {"port": 4000, "challenge": challenge_of(VERIFIER)}
    async with httpx.AsyncClient() as own:
        use = browser or own
        begun = await use.get(f"{door.url}/v1/login/oidc", params=params)
        assert begun.status_code == 302, begun.text
        there = await use.get(begun.headers["location"])
        assert there.status_code == 302, there.text
        return await use.get(there.headers["location"])


async def exchange(door: Gateway, code: str, verifier: str = VERIFIER) -> httpx.Response:
    body = {"code": code, "verifier": verifier}
    return await door.http.post("/v1/login/oidc/token", json=body)


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code == 302, answer.text
    place = urlsplit(answer.headers["location"])
    assert (place.hostname, place.port) == ("127.0.0.1", 4000)
    return parse_qs(place.query)["code"][0]


async def logged_in(door: Gateway) -> dict[str, Any]:
    answer = await exchange(door, code_of(await come_back(door)))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_same_person_is_the_same_user(door: Gateway, provider: FakeProvider) -> None:
    provider.claims = {"sub": "7", "preferred_username": "ada@lab.org"}
    first = await logged_in(door)
    provider.rotate()
    again = await logged_in(door)
    assert first["user"] == again["user"] == "ada"
    me = (await Person(door, again["token"]).ask("GET", "/v1/me")).json()
    assert (me["user"], me["role"]) == ("ada", "viewer")
    provider.claims = {"sub": "8", "preferred_username": "ada"}
    other = (await logged_in(door))["user"]
    assert re.fullmatch(r"ada-[0-9a-f]{8}", other)
    provider.claims = {"sub": "9", "preferred_username": "\r\n../nobody"}
    assert (await logged_in(door))["user"].startswith("nobody")


async def test_a_code_is_worth_one_token_to_one_program(door: Gateway) -> None:
    code = code_of(await come_back(door))
    assert (await exchange(door, code, "w" * 43)).status_code == 401
    assert (await exchange(door, code)).status_code == 401
    code = code_of(await come_back(door))
    assert (await exchange(door, code)).status_code == 200
    assert (await exchange(door, code)).status_code == 401


async def test_a_login_belongs_to_the_browser_that_began_it(door: Gateway) -> None:
    params = {"port": 4000, "challenge": challenge_of(VERIFIER)}
    async with httpx.AsyncClient() as mine, httpx.AsyncClient() as other:
        begun = await mine.get(f"{door.url}/v1/login/oidc", params=params)
        there = await mine.get(begun.headers["location"])
        assert (await other.get(there.headers["location"])).status_code == 401
        assert (await mine.get(there.headers["location"])).status_code == 401
    bad = {"port": 80, "challenge": "x\r\nSet-Cookie: y"}
    assert (await door.http.get("/v1/login/oidc", params=bad)).status_code == 422


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "other"},
        {"aud": "other"},
        {"iss": "https://other"},
        {"exp": int(time.time()) - 3600},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"sub": None},
    ],
)
async def test_a_token_that_is_not_for_us_is_not_believed(
    door: Gateway, provider: FakeProvider, lie: dict[str, Any]
) -> None:
    provider.claims = {"sub": "7"} | lie
    assert (await come_back(door)).status_code == 401


async def test_a_signature_by_another_key_is_not_believed(
    door: Gateway, provider: FakeProvider
) -> None:
    provider.signing = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    answer = await come_back(door)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_command(door: Gateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path))
    monkeypatch.setenv("SHOAL_URL", door.url.rstrip("/"))
    browsing: list[Any] = []
    loop = asyncio.get_running_loop()

    async def browse(url: str) -> None:
        async with httpx.AsyncClient(follow_redirects=True) as browser:
            assert "logged in" in (await browser.get(url)).text

    def open_browser(url: str) -> bool:
        browsing.append(asyncio.run_coroutine_threadsafe(browse(url), loop))
        return True

    monkeypatch.setattr(login.webbrowser, "open", open_browser)
    await asyncio.to_thread(login.login, None, None, True)
    browsing[0].result(5)
    with Client() as client:
        assert (await asyncio.to_thread(client.me))["user"] == "7"
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600
