"""How many requests were answered, how, and how soon: for `/metrics`."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds at which the buckets of a histogram end, but for the last."""
NAME = "shoal_http_request_duration_seconds"
NOWHERE = "none"
"""The route of a request that reached none, since it was refused before or asks for nothing that
there is."""
Kind = tuple[str, str, int]
"""A method, a route's template, a status."""


@dataclass(slots=True)
class Histogram:
    """How long some requests took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Measures:
    """What this process answered since it began."""

    def __init__(self) -> None:
        self._found: dict[Kind, Histogram] = {}

    def add(self, kind: Kind, seconds: float) -> None:
        """Count an answer that began after so long."""
        self._found.setdefault(kind, Histogram()).add(seconds)

    def lines(self) -> Iterator[str]:
        """All of it in the text format of Prometheus."""
        yield f"# HELP {NAME} Time until answers began."
        yield f"# TYPE {NAME} histogram"
        for (method, route, status), found in sorted(self._found.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            total = 0
            for bound, count in zip((*BOUNDS, "+Inf"), found.counts, strict=True):
                total += count
                yield f'{NAME}_bucket{{{labels},le="{bound}"}} {total}'
            yield f"{NAME}_sum{{{labels}}} {found.seconds:.6f}"
            yield f"{NAME}_count{{{labels}}} {total}"


class Measuring:
    """Measures all requests, also those that are refused at the gate."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app, self._measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, done = time.monotonic(), False

        def note(status: int) -> None:
            nonlocal done
            route = getattr(scope.get("route"), "path", NOWHERE)
            self._measures.add((scope["method"], route, status), time.monotonic() - begun)
            done = True

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception:
            if not done:
                note(500)
            raise
