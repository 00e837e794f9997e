"""A flow of events over a WebSocket, for one reader, who is dropped when nothing is taken."""

import asyncio
import contextlib
import json
import logging

from starlette.websockets import WebSocket, WebSocketDisconnect

from shoal_gateway.shell.sse import Flow

log = logging.getLogger(__name__)

PROTOCOL = "shoal.events"
"""What a browser offers beside its token, since one of its subprotocols must be taken."""
ALL_TOLD, ENDING, TOO_SLOW = 1000, 1012, 4408
"""Codes with which a WebSocket is closed."""
LAST_WORD = 1.0
"""Seconds for which a reader who takes nothing may take the reason."""


async def tell(
    socket: WebSocket, flow: Flow, stopping: asyncio.Event, stall_timeout: float
) -> None:
    """Send events as JSON, each with its `position`; `{"position": …}` alone when nothing happens.

    A reader who takes nothing for `stall_timeout` seconds is dropped, and told why.
    """
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
    feeding = asyncio.create_task(_feed(socket, flow, stopping, stall_timeout))
    leaving = asyncio.create_task(_left(socket))
    await asyncio.wait((feeding, leaving), return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not feeding.done():
        feeding.cancel()
    results = await asyncio.gather(feeding, leaving, return_exceptions=True)
    if isinstance(results[0], tuple):
        code, reason = results[0]
        with contextlib.suppress(TimeoutError, OSError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(LAST_WORD):
                await socket.close(code, reason)


async def _feed(
    socket: WebSocket, flow: Flow, stopping: asyncio.Event, stall_timeout: float
) -> tuple[int, str]:
    """Send all there is; returns with which code and reason to close."""
    async with contextlib.aclosing(flow.entries()) as entries:
        async for position, event in entries:
            text = json.dumps({"position": position} | (event or {}), allow_nan=False)
            try:
                async with asyncio.timeout(stall_timeout):
                    await socket.send_text(text)
            except TimeoutError:
                log.info("a reader of the events took nothing, and was dropped")
                again = "connect again, with after=<position>"
                return TOO_SLOW, f"nothing was taken for {stall_timeout:g} s: {again}"
    if stopping.is_set():
        return ENDING, "this gateway ends: connect again, with after=<position>"
    return ALL_TOLD, "all was told"


async def _left(socket: WebSocket) -> None:
    """Return when the reader is gone. What it says is not heard."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
