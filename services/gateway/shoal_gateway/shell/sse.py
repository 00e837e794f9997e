"""Events of all streams as one flow, for people and programs that watch.

What has happened before comes in the order of time over all streams; then events come as they
happen. Each stream is read into a small buffer of its own, so a reader that takes nothing costs
little; one that takes nothing for too long is dropped.
"""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    MutableMapping,
)
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shoal_bus.bus import AWAY, Bus
from shoal_bus.consume import Consumer, Delivery
from shoal_contract.events import Event
from shoal_contract.subjects import Stream
from shoal_gateway.core.changes import finite
from shoal_gateway.core.positions import EVENT_STREAMS, encode, filters
from shoal_gateway.shell.problems import ProblemError, away

log = logging.getLogger(__name__)

BUFFER = 512
"""Events of one stream that are held for one reader."""
LAST_WORD = 1.0
"""Seconds for which a reader who takes nothing may take the reason."""


class _Source:
    """One stream of a flow."""

    def __init__(self, consumer: Consumer, wake: asyncio.Event) -> None:
        self.consumer, self._wake = consumer, wake
        self._room = asyncio.Semaphore(BUFFER)
        self.held: deque[Delivery] = deque()
        self.caught_up = False

    async def read(self) -> None:
        """Fill the buffer, for ever."""
        while True:
            if not self.caught_up and await self.consumer.at_end():
                self.caught_up = True
                self._wake.set()
            for delivery in await self.consumer.fetch():
                await self._room.acquire()
                self.held.append(delivery)
                self._wake.set()

    def take(self) -> Delivery:
        self._room.release()
        return self.held.popleft()


async def _all(_: Event) -> bool:
    return True


async def _yes() -> None:
    pass


class Flow:
    """The events that one reader wants, from some position on. `shown` says of an event whether it
    may be told, and `still`, when nothing happens, whether the reader may go on; both by raising
    ProblemError if not."""

    def __init__(
        self,
        bus: Bus,
        start: Mapping[str, int],
        *,
        experiment_id: str | None = None,
        types: tuple[str, ...] = (),
        follow: bool = True,
        shown: Callable[[Event], Awaitable[bool]] = _all,
        still: Callable[[], Awaitable[object]] = _yes,
        keep_alive: float = 10.0,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self._positions = dict(start)
        self._follow, self._keep_alive, self._shown = follow, keep_alive, shown
        self._still = still
        self._wake, self._stopping = asyncio.Event(), stopping or asyncio.Event()
        self._sources: dict[str, _Source] = {}
        for stream in EVENT_STREAMS:
            wanted = filters(stream, experiment_id, types)
            if wanted is not None:
                after = self._positions.get(stream.name, 0) + 1
                consumer = Consumer(bus, stream, filters=wanted, start=after, batch=128)
                self._sources[stream.name] = _Source(consumer, self._wake)

    async def messages(self) -> AsyncIterator[str]:
        """Server-sent events, as text; comments when nothing happens. Raises ProblemError when the
        reader is to connect again, or may read no more."""
        async for position, event in self.entries():
            if event is None:
                yield f"id: {position}\n: still here\n\n"
            else:
                text = json.dumps(event, separators=(",", ":"), allow_nan=False)
                yield f"id: {position}\nevent: {event['type']}\ndata: {text}\n\n"
        if self._stopping.is_set():
            raise ending()

    async def entries(self) -> AsyncGenerator[tuple[str, dict[str, Any] | None], None]:
        """Events, each with the position to go on from; None at the beginning, and when nothing
        happens. Raises what `shown` and `still` raise."""
        yield encode(self._positions), None
        loop = asyncio.get_running_loop()
        told = loop.time()
        tasks = [asyncio.ensure_future(source.read()) for source in self._sources.values()]
        tasks.append(asyncio.ensure_future(self._heed()))
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                while (name := self._next()) is not None:
                    delivery = self._sources[name].take()
                    self._positions[name] = delivery.sequence
                    if await self._shown(delivery.envelope.event):
                        yield encode(self._positions), _event(delivery)
                        told = loop.time()
                    elif loop.time() - told >= self._keep_alive:
                        break
                if self._done():
                    return
                try:
                    async with asyncio.timeout_at(told + self._keep_alive):
                        await self._wake.wait()
                except TimeoutError:
                    await self._still()
                    yield encode(self._positions), None
                    told = loop.time()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for source in self._sources.values():
                with contextlib.suppress(*AWAY):
                    await source.consumer.close()

    async def _heed(self) -> None:
        await self._stopping.wait()
        self._wake.set()

    def _next(self) -> str | None:
        """The stream whose event is the oldest; None while an older one may still come."""
        if any(not s.held and not s.caught_up for s in self._sources.values()):
            return None
        heads = [
            (s.held[0].envelope.time, place, name)
            for place, (name, s) in enumerate(self._sources.items())
            if s.held
        ]
        return min(heads)[2] if heads else None

    def _done(self) -> bool:
        sources = self._sources.values()
        return not self._follow and all(s.caught_up and not s.held for s in sources)


def _event(delivery: Delivery) -> dict[str, Any]:
    envelope = delivery.envelope
    return {
        "id": envelope.id,
        "type": envelope.event.type,
        "time": envelope.time,
        "source": envelope.source,
        "cause": envelope.cause,
        "data": finite(envelope.event.model_dump(mode="json")),
    }


async def ends(bus: Bus) -> dict[str, int]:
    """The position at which nothing that has happened is left to read."""

    async def end(stream: Stream) -> int:
        return (await bus.extent(stream))[1]

    found = await asyncio.gather(*(end(stream) for stream in EVENT_STREAMS))
    return {s.name: n for s, n in zip(EVENT_STREAMS, found, strict=True)}


@dataclass(slots=True)
class Readers:
    """Those who read events here."""

    dropped: int = 0
    """How many took nothing for too long."""

    def drop(self) -> None:
        """Note that one is dropped."""
        self.dropped += 1
        log.info("a reader of the events took nothing, and was dropped")


class EventStream(StreamingResponse):
    """A response of server-sent events that gives up on a reader who takes nothing. A problem ends
    it, and is told as its last event, `problem`."""

    media_type = "text/event-stream"

    def __init__(
        self, messages: AsyncIterator[str], stall_timeout: float, readers: Readers
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_whole(messages), headers=headers)
        self._stall_timeout, self._readers = stall_timeout, readers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and give up when the reader takes nothing for `stall_timeout` seconds."""

        async def send_or_stall(message: MutableMapping[str, Any]) -> None:
            try:
                async with asyncio.timeout(self._stall_timeout):
                    await send(message)
            except TimeoutError:
                self._readers.drop()
                if message["type"] == "http.response.body":
                    await self._last_word(send)
                raise

        try:
            await super().__call__(scope, receive, send_or_stall)
        except* (OSError, ClientDisconnect):
            log.info("a reader of the events is gone")

    async def _last_word(self, send: Send) -> None:
        """Tell why, if there is room for it yet."""
        reason = _problem(too_slow(self._stall_timeout)).encode()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(LAST_WORD):
                await send({"type": "http.response.body", "body": reason})


async def _whole(messages: AsyncIterator[str]) -> AsyncIterator[str]:
    """Messages, and the problem that they end with, if they do."""
    try:
        async for message in messages:
            yield message
    except ProblemError as error:
        yield _problem(error)


def _problem(error: ProblemError) -> str:
    return f"event: problem\ndata: {json.dumps(error.body)}\n\n"


def ending() -> ProblemError:
    """The problem of a gateway that ends."""
    return away("This gateway ends. Connect again, and go on after the last event.")


def too_slow(seconds: float) -> ProblemError:
    """The problem of a reader who takes nothing."""
    detail = f"Nothing was taken for {seconds:g} s. Connect again, and go on after the last event."
    return ProblemError(408, detail, kind="urn:shoal:problem:slow")
