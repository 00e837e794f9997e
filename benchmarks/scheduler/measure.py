"""One size of cluster and queue, measured."""

import resource
import statistics
import time

from benchmarks.scheduler.load import SLOTS_PER_NODE, Load
from shoal_scheduler.shell.memory import collect_seldom

ENDS = 1000
"""Gangs that end, one after another, with the queue full."""
TICKS = 200
"""Looks at who has to yield, one a second."""
FILLS = 5
"""Empty clusters that are filled, each anew."""


def measure(policy: str, slots: int, queued: int) -> dict[str, float]:
    """One size: fill an empty cluster, queue so many more, then let gangs end."""
    collect_seldom()  # as the service does
    rates = []
    for _ in range(FILLS):
        load, rate = _fill(policy, slots)
        rates.append(rate)
    number = len(load.granted)
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
    load.seconds.clear()
    for _ in range(TICKS):
        load.tick()
    ticks = sorted(load.seconds)
    return {
        "filling": statistics.median(rates),
        "queue_p50": statistics.median(queue) * 1e3,
        "queue_p99": queue[int(0.99 * len(queue))] * 1e3,
        "end_p50": statistics.median(ends) * 1e3,
        "end_p99": ends[int(0.99 * len(ends))] * 1e3,
        "tick_p50": statistics.median(ticks) * 1e3,
        "tick_p99": ticks[int(0.99 * len(ticks))] * 1e3,
        "decisions": len(ends) / sum(ends),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _fill(policy: str, slots: int) -> tuple[Load, float]:
    """A cluster that is filled as far as all find a place, and its allocations a second."""
    load = Load(policy)
    load.join(slots // SLOTS_PER_NODE)
    load.clocked = False
    began = time.thread_time()
    load.request(0, slots * 7 // 10)
    seconds = time.thread_time() - began
    load.clocked = True
    return load, len(load.granted) / seconds
