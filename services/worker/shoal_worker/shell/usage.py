"""What runs use of the machine, as metrics of their trials at a low rate."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import psutil

from shoal_bus.bus import Bus
from shoal_contract.events import RunOrder, Slot, TrainingReported
from shoal_contract.ids import event_id
from shoal_contract.line import Numbers
from shoal_worker.core.state import Run
from shoal_worker.shell.nvml import nvml
from shoal_worker.shell.records import Records


@dataclass(slots=True)
class Usage:
    """Measures, and reports for each run that goes on here."""

    bus: Bus
    node_id: str
    slots: Sequence[Slot]
    records: Records
    runs: Callable[[], Mapping[str, Run]]
    interval: float
    """Seconds between two reports of a run."""

    async def report(self) -> None:
        """Report, for ever."""
        psutil.cpu_percent()  # the first answer means nothing
        with nvml() as lib:
            while True:
                await asyncio.sleep(self.interval)
                machine = host()
                for run in list(self.runs().values()):
                    gpus = of_gpus(lib, self._numbers(run.order)) if lib is not None else {}
                    await self._say(run.order, {**machine, **gpus})

    def _numbers(self, order: RunOrder) -> list[int]:
        return [s.number for s in self.slots if s.number in order.slots and s.kind == "cuda"]

    async def _say(self, order: RunOrder, metrics: dict[str, float]) -> None:
        now, task = time.time(), order.task
        step = self.records.steps.get(order.run_id, 0)
        event = TrainingReported(
            experiment_id=task.experiment_id,
            trial_id=task.trial_id,
            allocation_id=order.allocation_id,
            attempt=task.attempt,
            step=step,
            metrics=metrics,
            at=now,
            group="system",
            source=self.node_id,
        )
        await self.bus.publish(event, id=event_id("usage", order.run_id, int(now * 1000)))
        self.records.add(order, Numbers(step=step, metrics=metrics, group="system", at=now))


def host() -> dict[str, float]:
    """Of the whole machine: CPU (0 to 1), memory (0 to 1), bytes read and sent by its network."""
    network = psutil.net_io_counters()
    return {
        "host_cpu": psutil.cpu_percent() / 100,
        "host_memory": psutil.virtual_memory().percent / 100,
        "host_network_received_bytes": float(network.bytes_recv),
        "host_network_sent_bytes": float(network.bytes_sent),
    }


def of_gpus(lib: ModuleType, numbers: Sequence[int]) -> dict[str, float]:
    """Of these GPUs: use (0 to 1), memory in bytes, temperature in degrees Celsius, power in watts.
    What a GPU cannot tell is left out."""
    found: dict[str, float] = {}
    for number in numbers:
        of_one = _readings(lib, lib.nvmlDeviceGetHandleByIndex(number))
        for name, read in of_one.items():
            with contextlib.suppress(lib.NVMLError):
                found[f"gpu{number}_{name}"] = float(read())
    return found


def _readings(lib: ModuleType, handle: Any) -> dict[str, Callable[[], float]]:
    return {
        "use": lambda: lib.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
        "memory_bytes": lambda: lib.nvmlDeviceGetMemoryInfo(handle).used,
        "temperature": lambda: lib.nvmlDeviceGetTemperature(handle, lib.NVML_TEMPERATURE_GPU),
        "watts": lambda: lib.nvmlDeviceGetPowerUsage(handle) / 1000,
    }
