"""How fresh an answer is, and reading what one has just written.

An answer to a GET says in `Shoal-As-Of` up to when and up to which position it knows everything. An
answer to a write says in `Shoal-After` where what it wrote stands; a request that brings this
header, to any gateway, is answered once reads show it.
"""

import asyncio
from datetime import UTC, datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal_contract.subjects import ACCESS
from shoal_gateway.core import positions
from shoal_gateway.shell import problems
from shoal_gateway.shell.ledger import Ledger
from shoal_gateway.shell.projector import Projector
from shoal_gateway.shell.writes import noting

AS_OF, AFTER = "Shoal-As-Of", "Shoal-After"
READ_MODELS = ("/v1/", "/mlflow/")
"""Beginnings of paths that answer from the read models."""


class Freshness:
    """Adds the headers, and waits up to `seconds` for what a request wants to see."""

    def __init__(self, app: ASGIApp, projector: Projector, ledger: Ledger, seconds: float) -> None:
        self._app, self._projector, self._ledger = app, projector, ledger
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(READ_MODELS):
            await self._app(scope, receive, send)
        elif (refusal := await self._refusal(scope)) is not None:
            await refusal(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        """Why what a request wants to see cannot be shown; None once it can."""
        if (after := Headers(scope=scope).get(AFTER)) is not None:
            if (position := positions.decode(after)) is None:
                return problems.response(
                    problems.wrong(AFTER, f"The {AFTER} is none of ours: leave it out.", 400)
                )
            shown = await asyncio.gather(
                self._projector.wait_until(position, self._seconds),
                self._ledger.wait_for(position.get(ACCESS.name, 0), self._seconds),
            )
            if not all(shown):
                detail = "Reads do not show yet what they are to show. Try again in a moment."
                return problems.response(problems.away(detail))
        return None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        reading = scope["method"] in ("GET", "HEAD")
        as_of = self._as_of() if reading else ""
        written = noting()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if reading:
                    headers[AS_OF] = as_of
                if written:
                    headers[AFTER] = positions.encode(written)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _as_of(self) -> str:
        at = datetime.fromtimestamp(self._projector.complete_at, UTC)
        stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"{stamp}; position={positions.encode(self._projector.applied)}"
