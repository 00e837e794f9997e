"""Keeps the read models in step with the streams.

What was applied is noted beside the models themselves, in one transaction: each event counts
once, whatever dies in between, however many gateways share a Redis. A Redis that lost everything
shows in that note, and is filled anew: from the first event, but for metric points, which are in
files up to some sequence.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import TypeVar

from redis.exceptions import RedisError

from shoal_bus.bus import AWAY, Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.consume import Consumer
from shoal_contract.subjects import (
    EXPERIMENTS,
    INSTANCES,
    RUNS,
    SCHEDULE,
    SEARCH,
    TRACKED,
    TRACKING,
    Stream,
)
from shoal_gateway.core.belongings import POINT_STREAMS
from shoal_gateway.shell.applying import Batch, Logged, Points, Rows, Target
from shoal_gateway.shell.deleted import know_deleted
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.recent import Recent
from shoal_gateway.shell.redis_store import RedisStore

log = logging.getLogger(__name__)
T = TypeVar("T")

ROWS = (EXPERIMENTS, SEARCH, SCHEDULE, INSTANCES, RUNS, TRACKING)
PROJECTED = ROWS + POINT_STREAMS
LOOK = 1.0
"""Seconds of silence after which Redis is asked whether it still has everything."""


class Projector:
    """Applies several streams side by side."""

    def __init__(
        self,
        bus: Bus,
        store: RedisStore,
        files: Files,
        *,
        memory: int = 256 * 2**20,
        watch: bool = True,
    ) -> None:
        """`memory`: bytes of metric points of one stream in Redis; `watch`: whether to go over to
        the generation of read models that is current, when that changes."""
        self._bus, self._store, self._files = bus, store, files
        self._memory, self._watching = memory, watch
        self._applied = dict.fromkeys((s.name for s in PROJECTED), 0)
        self._moved = asyncio.Condition()
        self._knowing = asyncio.Lock()
        self.caught_up = dict.fromkeys((s.name for s in PROJECTED), False)
        """Whether the stream's end was reached since the start or the last rebuilding."""
        self._complete = dict.fromkeys((s.name for s in PROJECTED), 0.0)

    @property
    def ready(self) -> bool:
        """Whether reads show all that has happened, but for the last moment."""
        return all(self.caught_up.values())

    @property
    def applied(self) -> Mapping[str, int]:
        """The sequences, by stream, that reads show at least."""
        return self._applied

    @property
    def complete_at(self) -> float:
        """Unix seconds up to which reads show all that happened; 0: not known."""
        return min(self._complete.values())

    async def run(self) -> None:
        """Work until cancelled."""
        recent = Recent(self._store)
        async with asyncio.TaskGroup() as group:
            if self._watching:
                await self._look()
                stop_if_cancelled()
                group.create_task(self._watch())
            for stream in ROWS:
                group.create_task(self._keep(stream, Rows(self._store, stream)))
            for stream in POINT_STREAMS:
                target = (Logged if stream == TRACKED else Points)(recent, stream, self._memory)
                group.create_task(self._keep(stream, target))

    async def wait_for(self, stream: Stream, sequence: int, seconds: float) -> bool:
        """Wait until an event is in the read models; False if it is not within `seconds`."""
        return await self.wait_until({stream.name: sequence}, seconds)

    async def wait_until(self, position: Mapping[str, int], seconds: float) -> bool:
        """Wait until the events up to a position are in the read models, as `wait_for` does."""
        wanted = {name: n for name, n in position.items() if name in self._applied}
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(
                    lambda: all(self._applied[name] >= n for name, n in wanted.items())
                )
        except TimeoutError:
            return False
        return True

    async def _watch(self) -> None:
        while True:
            stop_if_cancelled()
            await asyncio.sleep(LOOK)
            await self._look()

    async def _look(self) -> None:
        """Go over to the current generation of read models."""
        try:
            current = await self._store.current()
        except RedisError:
            return
        if current != self._store.generation:
            log.info("reads go over to the read models of generation %d", current)
            self._store.generation = current

    async def _keep(self, stream: Stream, target: Target[T]) -> None:
        while True:
            stop_if_cancelled()
            try:
                await self._follow(stream, target)
            except (RedisError, *AWAY) as error:
                log.warning("%s is not projected for a moment: %r", stream.name, error)
                await asyncio.sleep(LOOK)

    async def _begin(self, stream: Stream) -> int:
        """The applied sequence. Forgets read models that are ahead of the streams: they are of
        other streams."""
        at = await self._store.applied(stream.name)
        _, last = await self._bus.extent(stream)  # after it: another gateway may apply meanwhile
        if at > last:
            log.warning("Redis is ahead of %s; it is filled anew", stream.name)
            await self._store.clear()
            at = 0
        async with self._knowing:
            await know_deleted(self._bus, self._store)
        if stream in POINT_STREAMS:
            told = await self._store.folder(stream.name)
            await asyncio.to_thread(self._files.follow, stream, told)
            born = await self._bus.born(stream)
            filed = await asyncio.to_thread(self._files.begin, stream, born, last)
            if at < filed:
                at = max(0, await self._store.apply(stream.name, at, filed, []))
        return at

    async def _follow(self, stream: Stream, target: Target[T]) -> None:
        """Apply what comes, until Redis or NATS is found to have lost something, or there are new
        read models."""
        generation = self._store.generation
        at = await self._begin(stream)
        await self._note(stream, at)
        consumer = Consumer(self._bus, stream, start=at + 1, batch=target.batch)
        try:
            while self._store.generation == generation:
                stop_if_cancelled()
                batch = await target.fetch(consumer, LOOK)
                if consumer.last < at and batch:
                    return
                found = await self._advance(stream, target, at, consumer.last, batch)
                if found < at:
                    log.warning("Redis lost what it had of %s; it is filled anew", stream.name)
                    self.caught_up[stream.name], self._complete[stream.name] = False, 0.0
                    return
                at = found
                await self._note(stream, at)
                if complete := await consumer.complete_at():
                    self.caught_up[stream.name] = True
                    self._complete[stream.name] = complete
        finally:
            with contextlib.suppress(*AWAY):
                await consumer.close()

    async def _advance(
        self, stream: Stream, target: Target[T], at: int, last: int, batch: Batch[T]
    ) -> int:
        """Apply a batch; returns the applied sequence, less than `at` if Redis lost something.

        Where another gateway applied a part, only the rest is applied.
        """
        while True:
            rest = [item for item in batch if item[0] > at]
            new = max([sequence for sequence, _ in rest], default=at)
            if not batch:  # what could not be read at all is passed over
                new = max(new, last)
            if new == at:
                found = await self._store.applied(stream.name)
            else:
                found = await target.apply(at, new, rest)
            if found <= at or found >= new:
                return found
            at = found

    async def _note(self, stream: Stream, at: int) -> None:
        async with self._moved:
            self._applied[stream.name] = at
            self._moved.notify_all()
