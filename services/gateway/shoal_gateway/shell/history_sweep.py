"""Removes what deleted experiments leave outside of Redis: files of points, what runs
logged, and logs.

What is there is compared with what was deleted, so it does not matter who died when, or what came
late: what one pass misses, the next one finds.
"""

import asyncio
import logging
import time

from shoal_bus.bus import Bus
from shoal_contract.events import LogWritten
from shoal_contract.subjects import LOGS, all_of
from shoal_gateway.core.belongings import POINT_STREAMS
from shoal_gateway.shell.artifacts import Artifacts
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.redis_store import RedisStore

log = logging.getLogger(__name__)

WHOLE = 3600.0
"""Seconds after which all deleted experiments are looked at again."""


class Sweep:
    """One gateway's passes over what was deleted. Its methods raise RedisError, and one of AWAY."""

    def __init__(
        self, bus: Bus, store: RedisStore, files: Files, artifacts: Artifacts | None
    ) -> None:
        self._bus, self._store, self._files = bus, store, files
        self._artifacts = artifacts
        self._count, self._last = 0, ""
        """How many deleted experiments were looked at, and the last of them."""
        self._due = 0.0

    async def run(self) -> None:
        """Look at what was deleted since the last pass; now and then, and at first, at all."""
        if (gone := await self._new()) is None:
            gone, self._count = await self._store.deleted(), 0
            await asyncio.to_thread(self._files.remove_parts)
            self._due = time.monotonic() + WHOLE
        for experiment_id in gone:
            await self._bus.purge(LOGS, all_of(LogWritten.type, experiment_id))
        await self._remove(gone)
        self._count += len(gone)
        self._last = gone[-1] if gone else self._last

    async def _new(self) -> list[str] | None:
        """What was deleted since the last pass; None if all is to be looked at."""
        if time.monotonic() >= self._due:
            return None
        found = await self._store.deleted(max(0, self._count - 1))
        if not self._count:
            return found
        # Redis may have been lost, and have been told them in another order.
        return found[1:] if found[:1] == [self._last] else None

    async def check(self, names: list[str]) -> None:
        """Remove what was just written of experiments that were deleted meanwhile."""
        await self._remove(await self._store.deleted_among(names))

    async def forget_copies(self) -> None:
        """Remove this machine's copies of files of deleted experiments."""
        for experiment_id in await self._store.deleted_among(sorted(self._files.copied())):
            self._files.forget_copies(experiment_id)

    async def _remove(self, gone: list[str]) -> None:
        if not gone:
            return
        for stream in POINT_STREAMS:
            there = await asyncio.to_thread(self._files.experiments, stream)
            for experiment_id in there.intersection(gone):
                await asyncio.to_thread(self._files.remove_all, stream, experiment_id)
                log.info("the files of %s in %s were removed", experiment_id, stream.name)
        if self._artifacts is not None:
            there = await asyncio.to_thread(self._artifacts.experiments)
            for experiment_id in there.intersection(gone):
                await asyncio.to_thread(self._artifacts.remove_all, experiment_id)
                log.info("the artifacts of %s were removed", experiment_id)
