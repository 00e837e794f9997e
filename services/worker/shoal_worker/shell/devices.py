"""What this machine has to offer: its GPUs by NVML, or shares of its CPU, and free ports."""

import contextlib
import logging
import os
import random
import socket
from types import ModuleType

from shoal_contract.events import Slot
from shoal_worker.shell.nvml import nvml

log = logging.getLogger(__name__)

PORTS = range(20000, 32000)
"""Below the range from which Linux takes ports for outgoing connections."""


class NoGpuError(RuntimeError):
    """There is no GPU where there should be."""


def slots(count: int = 0, devices: str = "auto") -> list[Slot]:
    """`count` slots of this machine, or all with 0: GPUs (`cuda`), shares of the CPU (`cpu`), or
    GPUs if there are any (`auto`). Raises NoGpuError."""
    found = _gpus() if devices != "cpu" else []
    if found:
        if len(found) < count:
            log.warning("%d slots are asked for, NVIDIA's driver shows %d GPUs", count, len(found))
        return found[: count or None]
    if devices == "cuda":
        raise NoGpuError("NVIDIA's driver shows no GPU (SHOAL_DEVICES=cuda): see nvidia-smi")
    every = count or len(os.sched_getaffinity(0))
    return [Slot(number=n, kind="cpu", model="cpu") for n in range(every)]


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
