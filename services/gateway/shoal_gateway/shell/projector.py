"""Keeps the read models in step with the streams.

What was applied is noted beside the models themselves, in one transaction: each event counts
once, whatever dies in between, however many gateways share a Redis. A Redis that lost everything
shows in that note, and is filled anew from the first event.
"""

import asyncio
import contextlib
import logging

from redis.exceptions import RedisError

from shoal_bus.bus import AWAY, Bus
from shoal_bus.consume import Consumer, Delivery
from shoal_contract.subjects import (
    EXPERIMENTS,
    INSTANCES,
    RUNS,
    SCHEDULE,
    SEARCH,
    TRAINING,
    VALIDATION,
    Stream,
)
from shoal_gateway.core.projections import project
from shoal_gateway.shell.redis_store import RedisStore

log = logging.getLogger(__name__)

PROJECTED = (EXPERIMENTS, SEARCH, SCHEDULE, INSTANCES, RUNS, VALIDATION, TRAINING)
LOOK = 0.5
"""Seconds of silence after which Redis is asked whether it still has everything."""


class Projector:
    """Applies seven streams side by side."""

    def __init__(self, bus: Bus, store: RedisStore) -> None:
        self._bus, self._store = bus, store
        self._applied = dict.fromkeys((s.name for s in PROJECTED), 0)
        self._moved = asyncio.Condition()
        self.caught_up = dict.fromkeys((s.name for s in PROJECTED), False)
        """Whether the stream's end was reached since the start or the last rebuilding."""

    @property
    def ready(self) -> bool:
        """Whether reads show all that has happened, but for the last moment."""
        return all(self.caught_up.values())

    async def run(self) -> None:
        """Work until cancelled."""
        await self._begin()
        async with asyncio.TaskGroup() as group:
            for stream in PROJECTED:
                group.create_task(self._keep(stream))

    async def wait_for(self, stream: Stream, sequence: int, seconds: float) -> bool:
        """Wait until an event is in the read models; False if it is not within `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(lambda: self._applied[stream.name] >= sequence)
        except TimeoutError:
            return False
        return True

    async def _begin(self) -> None:
        """Forget read models that are ahead of the streams: they are of other streams."""
        while True:
            try:
                for stream in PROJECTED:
                    _, last = await self._bus.extent(stream)
                    if await self._store.applied(stream.name) > last:
                        log.warning("Redis is ahead of %s; it is filled anew", stream.name)
                        await self._store.clear()
                return
            except (RedisError, *AWAY) as error:
                log.warning("the projector cannot begin yet: %r", error)
                await asyncio.sleep(0.5)

    async def _keep(self, stream: Stream) -> None:
        while True:
            try:
                await self._follow(stream)
            except (RedisError, *AWAY) as error:
                log.warning("%s is not projected for a moment: %r", stream.name, error)
                await asyncio.sleep(0.5)

    async def _follow(self, stream: Stream) -> None:
        """Apply what comes, until Redis is found to have lost something."""
        at = await self._store.applied(stream.name)
        await self._note(stream, at)
        consumer = Consumer(self._bus, stream, start=at + 1)
        try:
            while True:
                batch = await consumer.fetch(LOOK)
                found = await self._advance(stream, at, consumer.last, batch)
                if found < at:
                    log.warning("Redis lost what it had of %s; it is filled anew", stream.name)
                    self.caught_up[stream.name] = False
                    return
                at = found
                await self._note(stream, at)
                if consumer.pending <= 0:
                    self.caught_up[stream.name] = True
        finally:
            with contextlib.suppress(*AWAY):
                await consumer.close()

    async def _advance(self, stream: Stream, at: int, last: int, batch: list[Delivery]) -> int:
        """Apply a batch; returns the applied sequence, less than `at` if Redis lost something.

        Where another gateway applied a part, only the rest is applied.
        """
        while True:
            rest = [d for d in batch if d.sequence > at]
            new = max([d.sequence for d in rest], default=at)
            if not batch:  # what could not be read at all is passed over
                new = max(new, last)
            if new == at:
                found = await self._store.applied(stream.name)
            else:
                changes = [c for d in rest for c in project(d.envelope)]
                found = await self._store.apply(stream.name, at, new, changes)
            if found <= at or found >= new:
                return found
            at = found

    async def _note(self, stream: Stream, at: int) -> None:
        async with self._moved:
            self._applied[stream.name] = at
            self._moved.notify_all()
