"""What a client asks reads to show."""

import asyncio

import httpx
import pytest

from shoal.aio import AsyncClient
from shoal.client import Client
from shoal.freshness import AFTER, LAG, Freshness, later


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [("", "1-2", "1-2"), ("3-0", "1-2", "3-2"), ("1", "0-0-4", "1-0-4"), ("2-2", "2-2", "2-2")],
)
def test_the_later_of_two_positions(one: str, other: str, both: str) -> None:
    assert later(one, other) == later(other, one) == both


def test_what_was_written_long_ago_is_not_asked_for() -> None:
    now = [5.0]
    fresh = Freshness(lambda: now[0])
    assert fresh.headers == {}
    fresh.note({AFTER: "3-0"})
    fresh.note({})
    now[0] += LAG / 2
    fresh.note({AFTER: "1-1"})
    assert fresh.headers == {AFTER: "3-1"}
    now[0] += LAG
    assert fresh.headers == {}
    fresh.note({AFTER: "0-2"})
    assert fresh.headers == {AFTER: "0-2"}


def test_both_clients_say_what_they_wrote() -> None:
    said: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        said.append(request.headers.get(AFTER))
        headers = {AFTER: "0-7"} if request.method == "POST" else {}
        return httpx.Response(200, json={"items": []}, headers=headers)

    transport = httpx.MockTransport(answer)

    asked: list[tuple[str, list[str]]] = [("nodes", []), ("resume_pool", ["p"]), ("nodes", [])]
    with Client("http://x", transport=transport) as client:
        for name, arguments in asked:
            getattr(client, name)(*arguments)

    async def other() -> None:
        async with AsyncClient("http://x", transport=transport) as client:
            for name, arguments in asked:
                await getattr(client, name)(*arguments)

    asyncio.run(other())
    assert said == [None, None, "0-7"] * 2
