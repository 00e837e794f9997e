"""What a rank may not do: read the worker's secrets, fill the disk with cores, take all memory."""

import ctypes
import resource
from collections.abc import Mapping

_PR_SET_DUMPABLE = 4


def hide() -> None:
    """Keep this process's memory and environment (`/proc/PID/environ`) from its own user's other
    processes. What it starts is not hidden. https://man7.org/linux/man-pages/man2/prctl.2.html"""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def limits(memory: int) -> dict[str, int]:
    """The limits of a rank, named as in getrlimit(2): no core files, as many open files as the
    machine allows, and at most `memory` bytes (0: no limit) of private memory."""
    found = {"core": 0, "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[1]}
    return {**found, "data": memory} if memory else found


def confine(wanted: Mapping[str, int]) -> None:
    """Set limits on this process and what it starts."""
    for name, limit in wanted.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (limit, limit))
