"""kill -9 in mid-training: seconds until training goes on, and steps lost."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.worker.rows import rows, shown
from benchmarks.worker.stand import Stand, end, torchrun, until

STEPS = 20


def measure(stand: Stand) -> Iterator[tuple[str, str]]:
    """The worker of the machine that trains; another one stands by."""
    gaps, lost = [], []
    for _ in range(5):
        both = {"slots_per_trial": 2}  # a gang on both machines: after it, both are warm
        stand.ended(stand.submit("first", resources=both)[0])
        searcher = {"max_time": 1_000_000}
        experiment, file = stand.submit("forever", searcher=searcher)
        until(lambda file=file: len(rows(file)) >= STEPS)  # type: ignore[misc]
        worker = psutil.Process(rows(file)[-1]["pid"]).parent()
        if worker is None:
            raise RuntimeError("the warm process has no worker")
        killed = time.time()
        worker.kill()
        gap, steps = _back(file, killed)
        gaps.append(gap)
        lost.append(steps)
        stand.client.cancel(experiment)
        stand.ended(experiment)
        until(lambda: len(stand.client.nodes()) >= 2)
    yield "kill -9 of a worker, another stands by: until training goes on", shown(gaps, "s")
    yield "steps of 50 ms lost, each saved", shown(lost, "steps")


def torchrun_restart(folder: Path) -> Iterator[tuple[str, str]]:
    """torchrun's own restart, on the same machine: its agent must live."""
    gaps, lost = [], []
    for k in range(3):
        file = folder / f"kill-{k}.jsonl"
        process = torchrun(file, 1, "forever", restarts=3)
        until(lambda file=file: len(rows(file)) >= STEPS)  # type: ignore[misc]
        before = rows(file)
        killed = time.time()
        os.kill(before[-1]["pid"], signal.SIGKILL)
        gap, steps = _back(file, killed)
        gaps.append(gap)
        lost.append(steps)
        end(process)
    yield "kill -9 of a rank: until torchrun's restart trains", shown(gaps, "s")
    yield "steps of 50 ms lost, each saved: torchrun", shown(lost, "steps")


def _back(file: Path, killed: float) -> tuple[float, float]:
    """Seconds from the kill to the first step of the next attempt, and steps trained again."""
    pid = rows(file)[-1]["pid"]
    after = until(
        lambda: next((r for r in rows(file) if r["time"] > killed and r["pid"] != pid), 0)
    )
    before = [row for row in rows(file) if row["pid"] == pid]
    return after["time"] - killed, float(before[-1]["step"] - after["step"] + 1)
