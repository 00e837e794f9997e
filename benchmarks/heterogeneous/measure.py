"""One policy over one trace, measured."""

import statistics
import time

from benchmarks.heterogeneous.clock import Clock, View
from benchmarks.heterogeneous.traces import Job
from shoal_scheduler.core.pools import PoolConfig


def measure(jobs: list[Job], config: PoolConfig, view: View) -> dict[str, float]:
    """One policy over one trace."""
    began = time.process_time()
    clock = Clock(jobs, config, view)
    clock.run()
    hours = sorted((life.ended - life.job.arrival) / 3600 for life in clock.lives.values())
    slow = [
        (life.ended - life.job.arrival) / max(life.job.alone, 1.0) for life in clock.lives.values()
    ]
    return {
        "mean": statistics.mean(hours),
        "median": statistics.median(hours),
        "p95": hours[int(0.95 * len(hours))],
        "makespan": max(life.ended for life in clock.lives.values()) / 3600,
        "slowdown": statistics.median(slow),
        "unfair": sorted(slow)[int(0.95 * len(slow))],
        "moves": clock.moves,
        "decisions": clock.decisions,
        "seconds": time.process_time() - began,
    }
