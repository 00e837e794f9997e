"""Warm processes that have imported what experiments list, beside the worker's own."""

import asyncio
import logging
from collections.abc import Callable

from shoal_worker.shell.warm import WarmProcess

log = logging.getLogger(__name__)

MOST = 2
"""Such processes at once: each takes a few hundred MB. Who was asked for longest ago goes."""


class Preloaded:
    """One process for each list of modules."""

    def __init__(self, make: Callable[[str], WarmProcess]) -> None:
        """`make` is given modules with commas between them."""
        self._make = make
        self._kept: dict[tuple[str, ...], WarmProcess] = {}
        """By their modules; last, who was asked for last."""
        self._lock = asyncio.Lock()

    async def find(self, modules: tuple[str, ...]) -> WarmProcess | None:
        """One that has imported these, to fork from; None: there is none now, and where there can
        be one, it is warming up."""
        if not modules:
            return None
        async with self._lock:
            found = self._kept.pop(modules, None)
            if found is not None and found.ready and _spent(found):
                log.info("the warm process with %s is replaced", ", ".join(modules))
                found.retire()
                found = None
            if found is None:
                found = self._make(",".join(modules))
                await found.open()
            self._kept[modules] = found
            while len(self._kept) > MOST:
                self._kept.pop(next(iter(self._kept))).retire()
            return found if found.ready else None

    async def close(self) -> None:
        """End them, and all their ranks."""
        async with self._lock:
            for process in self._kept.values():
                await process.close()


def _spent(process: WarmProcess) -> bool:
    return process.ended or process.grown() or process.outdated()
