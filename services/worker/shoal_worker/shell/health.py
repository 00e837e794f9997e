"""What is wrong with this machine: a GPU with errors, a full disk. Then it must not get work."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from shoal_worker.core import faults
from shoal_worker.core.faults import Counters, Seen
from shoal_worker.shell.nvml import nvml

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two looks at the disk."""
WAIT = 1000
"""Milliseconds for which NVML waits for an event of a GPU."""
FAULT = "fault.json"
"""The file in the state folder that remembers a GPU's fault."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
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
    gpus: Sequence[int]
    """Numbers of those that are offered."""
    sick: Callable[[str], None]

    async def well(self) -> None:
        """Wait until this machine may take work: for room, or for ever with a GPU that had errors
        since the machine was booted."""
        said = None
        while (why := await asyncio.to_thread(self._unfit)) is not None:
            if why != said:
                log.warning("this machine takes no work: %s", why)
            said = why
            await asyncio.sleep(INTERVAL)

    def _unfit(self) -> str | None:
        return self.full() or faults.remembered(self._seen(), _boot_id()) or self._counted()

    def _seen(self) -> Seen | None:
        try:
            return Seen.model_validate_json((self.folder / FAULT).read_bytes())
        except (OSError, ValueError):
            return None

    def _remember(self, why: str) -> None:
        with contextlib.suppress(OSError):
            seen = Seen(boot_id=_boot_id(), reason=why)
            (self.folder / FAULT).write_text(seen.model_dump_json())

    def _counted(self) -> str | None:
        with nvml() as lib:
            found = (faults.fault(n, counters(lib, n)) for n in self.gpus) if lib else ()
            return next(filter(None, found), None)

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
            if lib is None or not (watched := _registered(lib, self.gpus)):
                return await asyncio.Future()  # there is nothing to watch
            while True:
                why = await asyncio.to_thread(next_fault, lib, watched)
                if why is not None:
                    self._remember(why)
                    return why


def _boot_id() -> str:
    """Another one each time that the machine is booted."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def counters(lib: ModuleType, number: int) -> Counters:
    """What a GPU says of its memory, as far as it, its driver and this library can."""

    def ask(name: str, *arguments: Any) -> Any:
        with contextlib.suppress(lib.NVMLError, AttributeError):
            return getattr(lib, name)(lib.nvmlDeviceGetHandleByIndex(number), *arguments)
        return None

    uncorrected, volatile = 1, 0  # NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC
    count = ask("nvmlDeviceGetTotalEccErrors", uncorrected, volatile)
    rows = ask("nvmlDeviceGetRemappedRows")
    return Counters(count) if rows is None else Counters(count, bool(rows[2]), bool(rows[3]))


def _registered(lib: ModuleType, gpus: Sequence[int]) -> Any:
    """A set of events that these GPUs report to, as far as they can; None if none can."""
    events = lib.nvmlEventSetCreate()
    found = False
    for number in gpus:
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
