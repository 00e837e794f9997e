"""The platform over HTTP, for programs with an event loop. `shoal.api` has the methods."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import httpx

from shoal import asking, credentials
from shoal.access import Access
from shoal.api import Api
from shoal.asking import Request, ShoalError, Steps
from shoal.catalog import Catalog
from shoal.freshness import Freshness
from shoal.pools import Pools
from shoal.trials import Trials

T = TypeVar("T")


class AsyncClient(Api, Trials, Access, Catalog, Pools, asking.Awaiting):
    """As `Client`, to be awaited: `await client.experiments()`, `async for event in
    client.events()`. Every method raises ShoalError when it cannot do its work.

    >>> client = AsyncClient()  # doctest: +SKIP
    >>> await client.run({"name": "digits", ...}, Path("digits"))  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._fresh = Freshness()
        self.url, headers = credentials.line(url, token)
        self._http = httpx.AsyncClient(
            base_url=self.url, timeout=timeout, transport=transport, headers=headers
        )

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _stream(self, reader: asking.Following[T]) -> AsyncIterator[T]:
        while not reader.ended:
            began = time.monotonic()
            try:
                async with self._http.stream(
                    "GET",
                    reader.path,
                    params=reader.params,
                    headers=reader.headers | self._fresh.headers,
                    timeout=30.0,
                ) as response:
                    if response.status_code >= 500:
                        raise httpx.RemoteProtocolError(f"status {response.status_code}")
                    if response.status_code >= 400:
                        await response.aread()
                        raise asking.problem(response)
                    async for line in response.aiter_lines():
                        began = time.monotonic()
                        if (event := reader.line(line)) is not None:
                            yield event
                reader.closed()
            except httpx.HTTPError as error:
                reader.broken(self.url, error, time.monotonic() - began + 0.5)
            if not reader.ended:
                await asyncio.sleep(0.5)

    async def _perform(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            while True:
                try:
                    answer = await self._send(request)
                except ShoalError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as end:
            found: T = end.value
            return found

    async def _send(self, request: Request) -> Any:
        for attempt in range(request.tries):
            answer: httpx.Response | httpx.HTTPError
            content = request.content if request.watch is None else _pieces(request)
            try:
                answer = await self._http.request(
                    request.method, request.path, params=request.params, json=request.json,
                    content=content, headers=asking.headers(request) | self._fresh.headers,
                )  # fmt: skip
            except httpx.HTTPError as error:
                answer = error
            wait = asking.wait_after(request, attempt, answer, self.url)
            if wait is None and isinstance(answer, httpx.Response):
                self._fresh.note(answer.headers)
                return asking.body(answer)
            await asyncio.sleep(wait or 0.0)
        raise AssertionError("unreachable")


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    for piece in request.pieces():
        yield piece
