"""What this machine has to offer: its GPUs by NVML, or shares of its CPU, and free ports."""

import contextlib
import os
import random
import socket
from types import ModuleType

from shoal_contract.events import Slot
from shoal_worker.shell.nvml import nvml

PORTS = range(20000, 32000)
"""Below the range from which Linux takes ports for outgoing connections."""


def slots(cpu_slots: int) -> list[Slot]:
    """`cpu_slots` shares of the CPU; with 0, every GPU, or a share for each core if none is."""
    if cpu_slots == 0:
        found = _gpus()
        if found:
            return found
        cpu_slots = len(os.sched_getaffinity(0))
    return [Slot(number=n, kind="cpu", model="cpu") for n in range(cpu_slots)]


def _gpus() -> list[Slot]:
    """NVML: https://docs.nvidia.com/deploy/nvml-api/. Empty without a driver."""
    with nvml() as lib:
        return [_gpu(lib, number) for number in range(lib.nvmlDeviceGetCount())] if lib else []


def _gpu(lib: ModuleType, number: int) -> Slot:
    handle = lib.nvmlDeviceGetHandleByIndex(number)
    return Slot(
        number=number,
        kind="cuda",
        model=_text(lib.nvmlDeviceGetName(handle)),
        memory=lib.nvmlDeviceGetMemoryInfo(handle).total,
        uuid=_text(lib.nvmlDeviceGetUUID(handle)),
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now, at any address of this machine, for rendezvous."""
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            found.append(port)
    return found
