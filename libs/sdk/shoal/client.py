"""The platform over HTTP, for programs and for the `shoal` command. `shoal.api` has the methods."""

import time
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx

from shoal import asking, credentials
from shoal.access import Access
from shoal.answers.base import Row
from shoal.api import Api
from shoal.asking import TERMINAL, Request, ShoalError, Steps
from shoal.catalog import Catalog
from shoal.credentials import find_url
from shoal.freshness import Freshness
from shoal.pools import Pools
from shoal.trials import Trials

T = TypeVar("T")
__all__ = ["TERMINAL", "Client", "Row", "ShoalError", "find_url"]


class Client(Api, Trials, Access, Catalog, Pools, asking.Waiting):
    """A line to one platform. Every method raises ShoalError when it cannot do its work.

    >>> client = Client()  # doctest: +SKIP
    >>> client.run({"name": "digits", ...}, Path("digits"))  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._fresh = Freshness()
        self.url, headers = credentials.line(url, token)
        self._http = httpx.Client(
            base_url=self.url, timeout=timeout, transport=transport, headers=headers
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _stream(self, reader: asking.Following[T]) -> Iterator[T]:
        while not reader.ended:
            began = time.monotonic()
            try:
                with self._http.stream(
                    "GET",
                    reader.path,
                    params=reader.params,
                    headers=reader.headers | self._fresh.headers,
                    timeout=30.0,
                ) as response:
                    if response.status_code >= 500:
                        raise httpx.RemoteProtocolError(f"status {response.status_code}")
                    if response.status_code >= 400:
                        response.read()
                        raise asking.problem(response)
                    for line in response.iter_lines():
                        began = time.monotonic()
                        if (event := reader.line(line)) is not None:
                            yield event
                reader.closed()
            except httpx.HTTPError as error:
                reader.broken(self.url, error, time.monotonic() - began + 0.5)
            if not reader.ended:
                time.sleep(0.5)

    def _perform(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            while True:
                try:
                    answer = self._send(request)
                except ShoalError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as end:
            found: T = end.value
            return found

    def _send(self, request: Request) -> Any:
        for attempt in range(request.tries):
            answer: httpx.Response | httpx.HTTPError
            content = request.content if request.watch is None else request.pieces()
            try:
                answer = self._http.request(
                    request.method, request.path, params=request.params, json=request.json,
                    content=content, headers=asking.headers(request) | self._fresh.headers,
                )  # fmt: skip
            except httpx.HTTPError as error:
                answer = error
            wait = asking.wait_after(request, attempt, answer, self.url)
            if wait is None and isinstance(answer, httpx.Response):
                self._fresh.note(answer.headers)
                return asking.body(answer)
            time.sleep(wait or 0.0)
        raise AssertionError("unreachable")
