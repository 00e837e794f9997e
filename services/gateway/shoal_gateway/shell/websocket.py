"""A flow of events over a WebSocket, for one reader, who is dropped when nothing is taken."""

import asyncio
import contextlib
import json

from starlette.websockets import WebSocket, WebSocketDisconnect

from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.sse import LAST_WORD, Flow, Readers, too_slow

PROTOCOL = "shoal.events"
"""What a browser offers beside its token, since one of its subprotocols must be taken."""
ALL_TOLD, ENDING, PROBLEM = 1000, 1012, 4000
"""Codes with which a WebSocket is closed; the status of a problem is added to the last."""


async def tell(
    socket: WebSocket,
    flow: Flow,
    stopping: asyncio.Event,
    stall_timeout: float,
    readers: Readers,
) -> None:
    """Send events as JSON, each with its `position`; `{"position": …}` alone when nothing happens.

    A reader who takes nothing for `stall_timeout` seconds is dropped, and told why.
    """
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
    feeding = asyncio.create_task(_feed(socket, flow, stall_timeout, readers))
    leaving = asyncio.create_task(_left(socket))
    await asyncio.wait((feeding, leaving), return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not feeding.done():
        feeding.cancel()
    results = await asyncio.gather(feeding, leaving, return_exceptions=True)
    if (code_and_reason := _end(results[0], stopping)) is not None:
        code, reason = code_and_reason
        with contextlib.suppress(TimeoutError, OSError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(LAST_WORD):
                await socket.close(code, reason)


async def _feed(socket: WebSocket, flow: Flow, stall_timeout: float, readers: Readers) -> None:
    """Send all there is. Raises ProblemError for a reader who may read no more, or takes
    nothing."""
    async with contextlib.aclosing(flow.entries()) as entries:
        async for position, event in entries:
            text = json.dumps({"position": position} | (event or {}), allow_nan=False)
            try:
                async with asyncio.timeout(stall_timeout):
                    await socket.send_text(text)
            except TimeoutError as error:
                readers.drop()
                raise too_slow(stall_timeout) from error


def _end(result: object, stopping: asyncio.Event) -> tuple[int, str] | None:
    """With which code and reason to close after `_feed`; None: the reader is gone."""
    if isinstance(result, ProblemError):
        return PROBLEM + result.status, result.detail[:120]
    if result is not None:
        return None
    if stopping.is_set():
        return ENDING, "this gateway ends: connect again, with after=<position>"
    return ALL_TOLD, "all was told"


async def _left(socket: WebSocket) -> None:
    """Return when the reader is gone. What it says is not heard."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
