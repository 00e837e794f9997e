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
from shoal_worker.core.rates import Mark, Traffic, throttled, throughput, traffic
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
        before = _carried()
        marks: dict[str, Mark] = {}
        with nvml() as lib:
            while True:
                await asyncio.sleep(self.interval)
                carried = _carried()
                machine = {**host(), **traffic(before, carried)}
                before = carried
                for run in list(self.runs().values()):
                    gpus = of_gpus(lib, self._numbers(run.order)) if lib is not None else {}
                    pace = self._pace(run.order.run_id, marks)
                    await self._say(run.order, {**machine, **gpus, **pace})
                marks = dict(self.records.marks)

    def _pace(self, run_id: str, marks: Mapping[str, Mark]) -> dict[str, float]:
        """A run's throughput since the last look; nothing if it has not reported since."""
        now = self.records.marks.get(run_id)
        return {} if now is None else throughput(marks.get(run_id), now)

    def _numbers(self, order: RunOrder) -> list[int]:
        return [s.number for s in self.slots if s.number in order.slots and s.kind == "cuda"]

    async def _say(self, order: RunOrder, metrics: dict[str, float]) -> None:
        now, task = time.time(), order.task
        mark = self.records.marks.get(order.run_id)
        step = 0 if mark is None else mark.step
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
    """Of the whole machine: CPU and memory in use, from 0 to 1."""
    return {
        "host_cpu": psutil.cpu_percent() / 100,
        "host_memory": psutil.virtual_memory().percent / 100,
    }


def _carried() -> Traffic:
    network = psutil.net_io_counters()
    return Traffic(time.monotonic(), network.bytes_recv, network.bytes_sent)


def of_gpus(lib: ModuleType, numbers: Sequence[int]) -> dict[str, float]:
    """Of these GPUs: use (0 to 1), memory in bytes, temperature in degrees Celsius, power in watts,
    memory errors that ECC could not correct since the driver was loaded, and what lowers their
    clocks. What a GPU cannot tell is left out."""
    found: dict[str, float] = {}
    for number in numbers:
        for read in _READINGS:
            with contextlib.suppress(lib.NVMLError):
                of_one = read(lib, lib.nvmlDeviceGetHandleByIndex(number))
                found |= {f"gpu{number}_{name}": float(value) for name, value in of_one.items()}
    return found


_READINGS: tuple[Callable[[Any, Any], Mapping[str, float]], ...] = (
    lambda lib, gpu: {"use": lib.nvmlDeviceGetUtilizationRates(gpu).gpu / 100},
    lambda lib, gpu: {"memory_bytes": lib.nvmlDeviceGetMemoryInfo(gpu).used},
    lambda lib, gpu: {"temperature": lib.nvmlDeviceGetTemperature(gpu, lib.NVML_TEMPERATURE_GPU)},
    lambda lib, gpu: {"watts": lib.nvmlDeviceGetPowerUsage(gpu) / 1000},
    lambda lib, gpu: {
        "ecc_uncorrected": lib.nvmlDeviceGetTotalEccErrors(
            gpu, lib.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, lib.NVML_VOLATILE_ECC
        )
    },
    lambda lib, gpu: throttled(lib.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)),
)
