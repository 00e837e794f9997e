"""Measured spot capacity as functions of time. The data are not part of this repository: see
`README.md` beside this file for where they come from."""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

Capacity = Callable[[float], int]
GCP = "gcp-v100x1-us-east1-c.csv"
WANTED = 80
"""Machines that the group of the GCP trace asked for."""
AWS = ("us-west-2b", "us-west-2a", "us-east-1c", "us-east-1a")


@dataclass(frozen=True, slots=True)
class Trace:
    """A cloud: zone to its capacity, and how long that was measured (it is repeated after)."""

    name: str
    zones: dict[str, Capacity]
    seconds: float


def folder(given: str | None) -> Path:
    """Where the data lie: as given, else SHOAL_DATA, else beside the repository. Exits with a word
    on how to get them if they are not there."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    found = Path(given or os.environ.get("SHOAL_DATA") or beside)
    if not (found / "spot" / GCP).exists():
        raise SystemExit(
            f"there is no spot/{GCP} in {found}: give the folder as an argument or in SHOAL_DATA;"
            " benchmarks/cost/README.md says where the traces come from"
        )
    return found


def gcp(data: Path, machines: int, begin: float) -> Trace:
    """The GCP trace, scaled to a group of `machines`: when it fell from 80 to 70, an eighth of ours
    was taken. `begin`: seconds into the trace at which it starts."""
    minutes: dict[int, int] = {}
    first: datetime | None = None
    with (data / "spot" / GCP).open() as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(f"{row['date']}T{row['time']}")
            first = min(first or at, at)
            minutes[int(at.timestamp() // 60)] = int(row["instances_up"])
    start, end = min(minutes), max(minutes)
    up, values = [], WANTED
    for minute in range(start, end + 1):
        values = minutes.get(minute, values)
        up.append(round(machines * min(values, WANTED) / WANTED))
    length = 60.0 * len(up)
    return Trace(
        "GCP us-east1-c", {"us-east1-c": lambda t: up[int((t + begin) % length // 60)]}, length
    )


def aws(data: Path, zones: tuple[str, ...], machines: int, begin: float) -> Trace:
    """AWS traces: a zone has all that we want, or nothing."""
    found: dict[str, Capacity] = {}
    length = 0.0
    for zone in zones:
        raw = json.loads((data / "spot" / f"aws-v100x1-{zone}-availability.json").read_text())
        gap, there = float(raw["metadata"]["gap_seconds"]), raw["data"]
        length = gap * len(there)

        def capacity(t: float, there: list[int] = there, gap: float = gap) -> int:
            return machines if there[int((t + begin) // gap) % len(there)] else 0

        found[zone] = capacity
    name = f"AWS {zones[0]}" if len(zones) == 1 else f"AWS, {len(zones)} zones"
    return Trace(name, found, length)
