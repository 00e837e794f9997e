"""`python -m benchmarks.scheduler`: decisions a second and latency of the scheduler's core."""

import argparse
import os
import platform
import resource
import statistics
import time
from pathlib import Path

from benchmarks.scheduler.load import SLOTS_PER_NODE, TRIALS_PER_EXPERIMENT, Load

RESULTS = Path(__file__).parent.parent / "results" / "scheduler.md"
ENDS = 1000
"""Gangs that end, one after another, with the queue full."""


def measure(policy: str, slots: int, queued: int) -> dict[str, float]:
    """One size: fill an empty cluster, queue so many more, then let gangs end."""
    load = Load(policy)
    load.join(slots // SLOTS_PER_NODE)
    number = slots * 7 // 10  # of these all find a place
    load.clocked = False
    began = time.thread_time()
    load.request(0, number)
    filling = len(load.granted) / (time.thread_time() - began)
    load.clocked = True
    while len(load.granted) == number:  # until one finds none
        load.request(number, 1)
        number += 1
    load.seconds.clear()
    load.request(number, queued)
    queue = sorted(load.seconds)
    load.seconds.clear()
    for _ in range(min(ENDS, len(load.granted))):
        load.end_one()
    ends = sorted(load.seconds)
    return {
        "filling": filling,
        "queue_p50": statistics.median(queue) * 1e3,
        "queue_p99": queue[int(0.99 * len(queue))] * 1e3,
        "end_p50": statistics.median(ends) * 1e3,
        "end_p99": ends[int(0.99 * len(ends))] * 1e3,
        "decisions": len(ends) / sum(ends),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print the table, and write it to benchmarks/results/scheduler.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", nargs="+", default=["fifo", "fair_share", "priority"])
    parser.add_argument("--slots", nargs="+", type=int, default=[100, 1000, 10_000])
    parser.add_argument("--queued", nargs="+", type=int, default=[100, 1000, 10_000, 100_000])
    options = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    lines = [
        "# The scheduler's core",
        "",
        f"Nodes of {SLOTS_PER_NODE} slots; {TRIALS_PER_EXPERIMENT} trials an experiment; eight in"
        " nine want one slot, the ninth four. `allocations/s`: requests that find a place, one"
        " message each, and the making of these. `request` and `end`: one message with the cluster"
        " and the queue full, its decision and its effect on the state together; an"
        " end frees slots and lets others start. Times are of the processor, so that others on"
        " the machine do not count.",
        "",
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f} at the beginning",
        "",
        "| policy | slots | queued | allocations/s, empty cluster | request p50 ms | p99 ms"
        " | end p50 ms | p99 ms | ends/s | peak memory so far MiB |",
        "| --- |" + " ---: |" * 9,
    ]
    print("\n".join(lines[-2:]))
    for policy in options.policies:
        for slots in options.slots:
            for queued in options.queued:
                found = measure(policy, slots, queued)
                lines.append(
                    f"| {policy} | {slots} | {queued} | {found['filling']:.0f} |"
                    f" {found['queue_p50']:.2f} | {found['queue_p99']:.2f} |"
                    f" {found['end_p50']:.2f} | {found['end_p99']:.2f} |"
                    f" {found['decisions']:.0f} | {found['memory']:.0f} |"
                )
                print(lines[-1], flush=True)
                RESULTS.write_text("\n".join(lines) + "\n")
    print(f"\n{RESULTS}")


if __name__ == "__main__":
    main()
