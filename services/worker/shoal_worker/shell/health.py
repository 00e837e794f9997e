"""What is wrong with this machine: a GPU with errors, a full disk. Then it must not get work."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from shoal_worker.shell.nvml import nvml

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two looks at the disk."""
WAIT = 1000
"""Milliseconds for which NVML waits for an event of a GPU."""
APPLICATION = frozenset({13, 31, 43, 45, 68, 109})
"""XIDs that a script can cause by itself: no fault of the GPU.
https://docs.nvidia.com/deploy/xid-errors/"""


@dataclass(slots=True)
class Health:
    """Watches the machine. `sick` is called once, with one sentence."""

    folder: Path
    """Where runs write."""
    floor: int
    """Bytes that must be free there."""
    sick: Callable[[str], None]

    async def well(self) -> None:
        """Wait until runs have room."""
        while (why := self.full()) is not None:
            log.warning("this machine takes no work: %s", why)
            await asyncio.sleep(INTERVAL)

    def full(self) -> str | None:
        """What is wrong with the disk, if anything."""
        free = shutil.disk_usage(self.folder).free
        if free >= self.floor:
            return None
        return f"{self.folder} has {free / 1e9:.2f} GB free; {self.floor / 1e9:.2f} GB are needed"

    async def watch(self) -> None:
        """Watch until something is wrong, and say so."""
        ends = [asyncio.create_task(self._disk()), asyncio.create_task(self._gpus())]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            self.sick(next(iter(done)).result())
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _disk(self) -> str:
        while True:
            if (why := self.full()) is not None:
                return why
            await asyncio.sleep(INTERVAL)

    async def _gpus(self) -> str:
        with nvml() as lib:
            if lib is None or not (watched := _registered(lib)):
                return await asyncio.Future()  # there is nothing to watch
            while True:
                why = await asyncio.to_thread(next_fault, lib, watched)
                if why is not None:
                    return why


def _registered(lib: ModuleType) -> Any:
    """A set of events that every GPU reports to, as far as it can; None if none can."""
    events = lib.nvmlEventSetCreate()
    found = False
    for number in range(lib.nvmlDeviceGetCount()):
        handle = lib.nvmlDeviceGetHandleByIndex(number)
        with contextlib.suppress(lib.NVMLError):
            able = lib.nvmlDeviceGetSupportedEventTypes(handle)
            kinds = able & (lib.nvmlEventTypeXidCriticalError | lib.nvmlEventTypeDoubleBitEccError)
            if kinds:
                lib.nvmlDeviceRegisterEvents(handle, kinds, events)
                found = True
    return events if found else None


def next_fault(lib: ModuleType, events: Any) -> str | None:
    """Wait for an event for a second; what it says of a GPU's health, if anything.

    https://docs.nvidia.com/deploy/nvml-api/group__nvmlEvents.html
    """
    try:
        event = lib.nvmlEventSetWait_v2(events, WAIT)
    except lib.NVMLError as error:
        if error.value == lib.NVML_ERROR_TIMEOUT:
            return None
        return f"NVML does not answer: {error}"
    number = lib.nvmlDeviceGetIndex(event.device)
    if event.eventType == lib.nvmlEventTypeDoubleBitEccError:
        return f"GPU {number} has an ECC error that it cannot correct"
    if event.eventData in APPLICATION:
        return None
    return f"GPU {number} has a critical error (XID {event.eventData})"
