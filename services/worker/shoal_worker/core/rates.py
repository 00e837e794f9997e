"""How fast things go, from two looks at what counts up; and what holds a GPU back."""

from typing import NamedTuple

POWER, HEAT, HARDWARE = 0x04 | 0x80, 0x20 | 0x40, 0x08
"""Bits of NVML's reasons for lower clocks.
https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html"""


class Mark(NamedTuple):
    """How far a run had come when it reported."""

    at: float
    """Unix seconds; 0: it has not reported yet."""
    step: int
    samples: int | None = None
    """That its loader had handed out; None: not known."""


def throughput(before: Mark | None, now: Mark) -> dict[str, float]:
    """Steps and samples a second between two reports, as far as they tell."""
    if before is None or not 0 < before.at < now.at or now.step < before.step:
        return {}
    seconds = now.at - before.at
    found = {"steps_per_second": (now.step - before.step) / seconds}
    if before.samples is not None and now.samples is not None and now.samples >= before.samples:
        found["samples_per_second"] = (now.samples - before.samples) / seconds
    return found


class Traffic(NamedTuple):
    """What a machine's network has carried."""

    at: float
    """Seconds on any clock."""
    received: int
    """Bytes since some time."""
    sent: int


def traffic(before: Traffic, now: Traffic) -> dict[str, float]:
    """Bytes a second between two looks; a counter that began anew counts from 0."""
    seconds = max(now.at - before.at, 1e-9)
    received = now.received - (before.received if now.received >= before.received else 0)
    sent = now.sent - (before.sent if now.sent >= before.sent else 0)
    return {
        "host_network_received_bytes_per_second": received / seconds,
        "host_network_sent_bytes_per_second": sent / seconds,
    }


def throttled(reasons: int) -> dict[str, float]:
    """Of a GPU, by NVML's mask of reasons: 1 for what lowers its clocks now, else 0."""
    bits = {"power": POWER, "heat": HEAT, "hardware": HARDWARE}
    return {f"throttled_{name}": float(bool(reasons & mask)) for name, mask in bits.items()}
