"""One log, read from its stream: page by page, or the end of it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from shoal_bus.bus import AWAY, Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.consume import Consumer
from shoal_contract.events import LogWritten
from shoal_contract.subjects import LOGS
from shoal_gateway.core.log_filter import LogFilter

WINDOW = 2000
"""Events of the stream, of whatever experiment, among which the end of a log is looked for first;
then among eight times as many, and so on."""
WAIT = 2.0
"""Seconds after which it is asked whether there is anything left to wait for."""
Item = dict[str, Any]


class LogReader:
    """A log, and what is wanted of it. Gives up after `seconds`."""

    def __init__(self, bus: Bus, subject: str, wanted: LogFilter, seconds: float) -> None:
        self._bus, self._subject, self._wanted = bus, subject, wanted
        self._seconds = seconds

    def consumer(self, after: int, batch: int = 256) -> Consumer:
        """A reader of what comes after a place in the stream."""
        return Consumer(self._bus, LOGS, filters=[self._subject], start=after + 1, batch=batch)

    async def fetch(self, consumer: Consumer, wait: float) -> list[Item]:
        """What is wanted of what came."""
        found: list[Item] = []
        for delivery in await consumer.fetch(wait):
            if isinstance(event := delivery.envelope.event, LogWritten):
                found += self._wanted.items(delivery.sequence, event)
        return found

    async def page(self, after: int, limit: int) -> tuple[list[Item], int, bool]:
        """At least `limit` items, if there are so many: a piece is never cut. And after which
        place to go on, and whether nothing is left."""
        end = await self._end()
        items: list[Item] = []
        consumer = self.consumer(after, min(limit, 256))
        deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            while end > max(after, consumer.last) and len(items) < limit:
                before = consumer.last
                items += await self.fetch(consumer, WAIT)
                late = asyncio.get_running_loop().time() > deadline
                if late or consumer.last == before:
                    break
        finally:
            await close(consumer)
        last = max(after, consumer.last)
        return items, last, last >= end

    async def tail(self, lines: int) -> tuple[list[Item], int, bool]:
        """The last so many lines, the place after which the next one comes, and whether there are
        no more, or enough. Raises TimeoutError if the log's end alone takes too long."""
        deadline = asyncio.get_running_loop().time() + self._seconds
        async with asyncio.timeout_at(deadline):
            end = await self._end()

        async def read(after: int) -> list[Item]:
            async with asyncio.timeout_at(deadline):
                return await self._between(after, end, lines)

        items, complete = await search_back(read, end, lines)
        return items, end, complete

    async def _between(self, after: int, end: int, lines: int) -> list[Item]:
        """The last so many lines between two places."""
        items: list[Item] = []
        consumer = self.consumer(after)
        self._wanted.begin()
        try:
            while end > max(after, consumer.last):
                stop_if_cancelled()
                before = consumer.last
                items = last_lines(items + await self.fetch(consumer, WAIT), lines)
                if consumer.last == before:
                    end = min(end, await self._end())  # what is too old goes while we read
        finally:
            await close(consumer)
        return items

    async def _end(self) -> int:
        return await self._bus.last_of(LOGS, self._subject)


async def search_back(
    read: Callable[[int], Awaitable[list[Item]]], end: int, lines: int
) -> tuple[list[Item], bool]:
    """The last so many lines before a place, and whether there are no more, or enough. `read` gives
    those after a place, and raises TimeoutError when time is over: what was found nearer to the
    end is good then."""
    window, best = WINDOW, None
    while True:
        after = max(0, end - window)
        try:
            best = await read(after)
        except TimeoutError:
            if best is None:
                raise
            return best, False
        if after == 0 or sum(len(item["lines"]) for item in best) >= lines:
            return best, True
        window *= 8


def last_lines(items: list[Item], lines: int) -> list[Item]:
    """The last so many lines of items."""
    kept: list[Item] = []
    for item in reversed(items):
        if lines <= 0:
            break
        spare = max(0, len(item["lines"]) - lines)
        kept.append(item | {"lines": item["lines"][spare:], "sequence": item["sequence"] + spare})
        lines -= len(item["lines"])
    return kept[::-1]


async def all_read(consumer: Consumer) -> bool:
    """Whether a reader has taken all that is there; False while the server is away."""
    with contextlib.suppress(*AWAY):
        return await consumer.waiting() == 0
    return False


async def close(consumer: Consumer) -> None:
    """Let a reader go."""
    with contextlib.suppress(*AWAY):
        await consumer.close()
