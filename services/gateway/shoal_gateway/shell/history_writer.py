"""Moves metric points from Redis into files: by age, sooner when they are many.

One replica does it at a time. That two did would cost work, no more: what a file holds follows from
its name (see `core.history.files`). Points leave Redis only when their file is on the disk.
"""

import asyncio
import contextlib
import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar, TypeVarTuple

from redis.exceptions import RedisError

from shoal_bus.bus import AWAY, Bus
from shoal_bus.cancelling import stop_if_cancelled
from shoal_bus.lease import Lease
from shoal_contract.subjects import Stream
from shoal_gateway.core.belongings import POINT_STREAMS
from shoal_gateway.core.history.files import File, cover, end, spare, to_merge
from shoal_gateway.shell.artifacts import Artifacts
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.history_sweep import Sweep
from shoal_gateway.shell.history_work import merge, step_back, write_blocks
from shoal_gateway.shell.recent import Recent
from shoal_gateway.shell.redis_store import RedisStore

log = logging.getLogger(__name__)
A = TypeVarTuple("A")
T = TypeVar("T")

LOOK = 1.0
"""Seconds between two looks at how much Redis holds."""


class HistoryWriter:
    """Writes when points in Redis are older than `seconds`, or together have half of `memory`
    bytes."""

    def __init__(
        self,
        bus: Bus,
        store: RedisStore,
        files: Files,
        artifacts: Artifacts | None = None,
        *,
        seconds: float,
        memory: int,
    ) -> None:
        self._bus, self._store, self._files = bus, store, files
        self.recent, self.sweep = Recent(store), Sweep(bus, store, files, artifacts)
        self._seconds, self._memory = seconds, memory
        self._pool = _pool()

    async def run(self) -> None:
        """Work until cancelled, whenever the lease is ours."""
        lease = Lease(self._bus, "gateway-history", self._bus.settings.replica)
        dropping = asyncio.create_task(self._drop())
        try:
            while True:
                stop_if_cancelled()
                await lease.acquire()
                try:
                    await self.work(lease.lost)
                finally:
                    await lease.release()
        finally:
            dropping.cancel()
            self.close()

    def close(self) -> None:
        """End the process that does the work."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def write(self) -> None:
        """Move all points that Redis holds now."""
        for stream in POINT_STREAMS:
            place = await self._place(stream)
            held, at = await self.recent.held(stream)
            moved = [await self._move(stream, experiment_id, place) for experiment_id in held]
            if held and min(moved) >= at:  # else Redis lost something meanwhile
                await asyncio.to_thread(self._files.filed, stream, at)
            for experiment_id in held:
                await self._merge(stream, experiment_id)
            await self.sweep.check(list(held))

    async def _drop(self) -> None:
        """Forget what another gateway, which may have a Redis of its own, has put into files."""
        while True:
            stop_if_cancelled()
            await asyncio.sleep(self._seconds)
            with contextlib.suppress(RedisError, OSError):
                await self.drop()

    async def drop(self) -> None:
        """Forget the points that are in files, and copies of files that are no longer."""
        await self.sweep.forget_copies()
        for stream in POINT_STREAMS:
            place = await self._place(stream)
            held, _ = await self.recent.held(stream)
            for experiment_id in held:
                files = await asyncio.to_thread(self._files.of, stream, experiment_id)
                if (last := end(files)) > 0 and place == self._now(stream):
                    await self.recent.drop(stream, experiment_id, last)

    async def work(self, until: asyncio.Event) -> None:
        """Write whenever there is something to write, without a lease."""
        while not until.is_set():
            stop_if_cancelled()
            await self._wait()
            try:
                await self.write()
                await self.sweep.run()
            except BrokenProcessPool as error:
                log.warning("the process that writes files ended: %r", error)
                self._pool = _pool()
            except (RedisError, *AWAY) as error:
                log.warning("points cannot be put into files for a moment: %r", error)

    async def _wait(self) -> None:
        """Return when there is something to do."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        while (left := until - loop.time()) > 0:
            stop_if_cancelled()
            await asyncio.sleep(min(LOOK, left))
            try:
                held = [(await self.recent.held(stream))[0] for stream in POINT_STREAMS]
            except RedisError:
                continue
            if sum(sum(sizes.values()) for sizes in held) > self._memory // 2:
                return

    async def _place(self, stream: Stream) -> tuple[int, str]:
        """The generation of the read models, and the folder whose files go with it. What is in one
        folder's files must not be dropped from models that go with another's."""
        generation = self._store.generation
        return generation, await asyncio.to_thread(self._files.folder, stream)

    def _now(self, stream: Stream) -> tuple[int, str]:
        return self._store.generation, self._files.known(stream)

    async def _move(self, stream: Stream, experiment_id: str, place: tuple[int, str]) -> int:
        """Move an experiment's points; returns up to which sequence, or -1 if it is to be tried
        again."""
        blocks, _, at = await self.recent.read(stream, experiment_id)
        # Listed after they were read: what left Redis before is in the list.
        first = end(await asyncio.to_thread(self._files.of, stream, experiment_id))
        part = await asyncio.to_thread(self._files.part, stream, experiment_id)
        if first < at and await self._work(write_blocks, blocks, first, part):
            file = File(first, at)
            await asyncio.to_thread(self._files.keep, stream, experiment_id, part, file)
        if place != self._now(stream):
            return -1
        await self.recent.drop(stream, experiment_id, at)
        return at

    async def _merge(self, stream: Stream, experiment_id: str) -> None:
        files = await asyncio.to_thread(self._files.of, stream, experiment_id)
        if parts := to_merge(files):
            part = await asyncio.to_thread(self._files.part, stream, experiment_id)
            with self._files.here(stream, experiment_id) as path:
                sources = [
                    (await asyncio.to_thread(path, file), after) for file, after in cover(parts)
                ]
                await self._work(merge, sources, part)
            file = File(parts[0].first, parts[-1].last)
            await asyncio.to_thread(self._files.keep, stream, experiment_id, part, file)
            files = await asyncio.to_thread(self._files.of, stream, experiment_id)
        for file in spare(files):
            await asyncio.to_thread(self._files.remove, stream, experiment_id, file)

    async def _work(self, work: Callable[[*A], T], *arguments: *A) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


def _pool() -> ProcessPoolExecutor:
    """One process, which begins with the first work."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=spawn, initializer=step_back)
