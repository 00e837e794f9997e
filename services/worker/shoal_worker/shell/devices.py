"""What this machine has to offer: its GPUs by NVML, or shares of its CPU."""

import logging
import os
from types import ModuleType

import psutil

from shoal_contract.events import Slot
from shoal_worker.shell.nvml import nvml

log = logging.getLogger(__name__)


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
    memory = psutil.virtual_memory().total // every
    return [Slot(number=n, kind="cpu", model="cpu", memory=memory) for n in range(every)]


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
