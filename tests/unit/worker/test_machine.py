"""What the machine says of itself: faults of GPUs, a full disk, the cloud's notice, its use."""

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes.metadata import FakeMetadata, etag, serving

from shoal_worker.core import faults
from shoal_worker.core.faults import Counters
from shoal_worker.shell import health, isolation, notices, usage
from shoal_worker.shell.health import Health


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        self.value = value


class Library:
    """NVML, as far as it is asked: GPU 1 is told of."""

    NVMLError = NVMLError
    NVML_ERROR_TIMEOUT, NVML_TEMPERATURE_GPU = 10, 0
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC = 1, 0
    nvmlEventTypeDoubleBitEccError = 2  # noqa: N815
    ecc = 0
    """Errors that could not be corrected."""

    def __init__(self, kind: int = 8, data: int = 0, error: int | None = None) -> None:
        self._event = SimpleNamespace(device="gpu", eventType=kind, eventData=data)
        self._error = error

    def nvmlEventSetWait_v2(self, events: Any, wait: int) -> Any:  # noqa: N802
        if self._error is not None:
            raise NVMLError(self._error)
        return self._event

    def nvmlDeviceGetIndex(self, device: Any) -> int:  # noqa: N802
        return 1

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        return number

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=50)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(used=7)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:  # noqa: N802
        return 61

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        raise NVMLError(3)  # not supported

    def nvmlDeviceGetTotalEccErrors(self, handle: int, kind: int, counter: int) -> int:  # noqa: N802
        return self.ecc

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:  # noqa: N802
        return 0x01 | 0x40  # idle, and too hot


@pytest.mark.parametrize(
    ("library", "words"),
    [
        (Library(data=79), "GPU 1 has a critical error (XID 79)"),
        (Library(data=13), None),
        (Library(kind=2), "GPU 1 has an ECC error that it cannot correct"),
        (Library(error=10), None),
        (Library(error=999), "NVML does not answer"),
    ],
)
def test_which_events_of_a_gpu_are_faults(library: Any, words: str | None) -> None:
    why = health.next_fault(library, None)
    assert why == words or (words is not None and why is not None and words in why)


@pytest.mark.parametrize(
    ("counters", "words"),
    [
        (Counters(), None),
        (Counters(uncorrected=0, pending=False, failed=False), None),
        (Counters(uncorrected=2), "counts 2 ECC errors"),
        (Counters(uncorrected=0, pending=True, failed=False), "has to be reset"),
        (Counters(uncorrected=1, pending=True, failed=True), "has to be replaced"),
    ],
)
def test_which_counters_are_faults(counters: Counters, words: str | None) -> None:
    why = faults.fault(3, counters)
    assert why is None if words is None else why is not None and words in why


def test_what_a_gpu_cannot_count_is_not_known() -> None:
    class Old(Library):
        def nvmlDeviceGetTotalEccErrors(self, *_: Any) -> int:  # noqa: N802
            raise NVMLError(3)  # not supported

    assert health.counters(Old(), 0) == Counters()  # type: ignore[arg-type]
    library = Library()
    library.nvmlDeviceGetTotalEccErrors = lambda _, kind, since: 3 * kind + since  # type: ignore[attr-defined]
    assert health.counters(library, 0) == Counters(uncorrected=3)  # type: ignore[arg-type]
    library.nvmlDeviceGetRemappedRows = lambda _: [5, 1, 0, 1]  # type: ignore[attr-defined]
    assert health.counters(library, 0) == Counters(3, False, True)  # type: ignore[arg-type]


async def test_a_gpu_with_errors_stays_out_until_the_machine_is_booted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Watched(Library):
        nvmlEventTypeXidCriticalError = 8  # noqa: N815

        def nvmlEventSetCreate(self) -> Any:  # noqa: N802
            return "events"

        def nvmlDeviceGetSupportedEventTypes(self, handle: int) -> int:  # noqa: N802
            return 8

        def nvmlDeviceRegisterEvents(self, handle: int, kinds: int, events: Any) -> None:  # noqa: N802
            pass

    monkeypatch.setattr(health, "nvml", lambda: contextlib.nullcontext(Watched(data=79)))
    monkeypatch.setattr(health, "BOOT_ID", tmp_path / "boot_id")
    monkeypatch.setattr(health, "INTERVAL", 0.01)
    (tmp_path / "boot_id").write_text("first\n")
    told: list[str] = []
    watch = Health(tmp_path, 0, [1], told.append).watch()
    await asyncio.wait_for(watch, 5)
    assert told == ["GPU 1 has a critical error (XID 79)"]
    again = asyncio.create_task(Health(tmp_path, 0, [1], told.append).well())
    _, waiting = await asyncio.wait([again], timeout=0.2)
    assert waiting == {again}
    assert [r.getMessage() for r in caplog.records] == [f"this machine takes no work: {told[0]}"]
    (tmp_path / "boot_id").write_text("second\n")
    await asyncio.wait_for(again, 5)


async def test_a_disk_that_fills_up_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "INTERVAL", 0.01)
    free = iter([10, 10, 3])
    monkeypatch.setattr(
        health.shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free, 3) * 10**9)
    )
    told: list[str] = []
    await asyncio.wait_for(Health(tmp_path, 5 * 10**9, [], told.append).watch(), 5)
    assert len(told) == 1
    assert told[0].endswith("3.00 GB free; 5.00 GB are needed")


class Sudden(FakeMetadata):
    """Takes the machine back right after it was asked whether it does."""

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, str]:
        found = super().answer(path, headers)
        if found[0] == 200:
            self.change("preempted", "TRUE")
        return found


async def test_the_clouds_notice_is_heard_though_nobody_waits_when_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "PAUSE", 0.01)
    cloud = Sudden({"preempted": "FALSE"}, failing=1)
    with serving(cloud) as address:
        await asyncio.wait_for(notices.preempted(f"http://{address}"), 5)
    first, again, waiting = cloud.asked
    assert (first, again) == (notices.PATH, notices.PATH)
    known = etag("FALSE")
    assert waiting.endswith(f"?wait_for_change=true&timeout_sec=60&last_etag={known}")


def test_use_is_told_as_far_as_it_is_known() -> None:
    library = Library()
    library.ecc = 2
    assert usage.of_gpus(library, [1]) == {  # type: ignore[arg-type]
        "gpu1_use": 0.5, "gpu1_memory_bytes": 7.0, "gpu1_temperature": 61.0,
        "gpu1_ecc_uncorrected": 2.0, "gpu1_throttled_power": 0.0, "gpu1_throttled_heat": 1.0,
        "gpu1_throttled_hardware": 0.0,
    }  # fmt: skip
    assert 0 < usage.host()["host_memory"] < 1


def test_limits_of_a_rank() -> None:
    assert isolation.limits(0)["core"] == 0
    assert "data" not in isolation.limits(0)
    assert isolation.limits(10)["data"] == 10
