"""`python -m benchmarks.heterogeneous [DATA]`: all policies over Gavel's traces, as a table."""

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

from benchmarks.heterogeneous.clock import LEAVE, PER_NODE, ROUND, SLOTS, START, Clock
from benchmarks.heterogeneous.traces import Job, read_jobs
from shoal_scheduler.core.pools import PoolConfig

RESULTS = Path(__file__).parent.parent / "results" / "heterogeneous.md"
CONTENDERS = (
    ("fifo", PoolConfig(policy="fifo"), True),
    ("fair_share, blind", PoolConfig(policy="fair_share"), True),
    ("priority, all alike", PoolConfig(policy="priority"), True),
    ("throughput, blind (turns alone)", PoolConfig(policy="throughput"), True),
    ("throughput", PoolConfig(policy="throughput"), False),
)


def measure(jobs: list[Job], config: PoolConfig, blind: bool) -> dict[str, float]:
    """One policy over one trace."""
    began = time.perf_counter()
    clock = Clock(jobs, config, blind)
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
        "seconds": time.perf_counter() - began,
    }


def main() -> None:
    """Print the table, and write it to benchmarks/results/heterogeneous.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default=os.environ.get("SHOAL_DATA", "../shared/data"))
    parser.add_argument("--traces", nargs="+", default=["ee9e8c", "6c71a0"])
    parser.add_argument("--jobs", type=int, default=0, help="only the first so many of each trace")
    options = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    lines = [
        f"# Unlike GPUs: {SLOTS} V100, {SLOTS} P100, {SLOTS} K80",
        "",
        "Gavel's measured throughputs and job traces drawn from Philly (Narayanan et al., OSDI"
        f" 2020), nodes of {PER_NODE} GPUs, the real scheduler core on a virtual clock, a Tick"
        f" every {ROUND:g} s. A start costs {START:g} s, yielding {LEAVE:g} s and no work."
        " `throughput` learns speeds from two reports of each run; to the others all GPUs look"
        " alike. A job is an experiment of its own. Slowdown: completion time over the time that"
        " the job takes alone on a GPU of average speed; its 95th percentile says how unfair a"
        " policy is.",
        "",
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores",
    ]
    for trace in options.traces:
        jobs = read_jobs(Path(options.data), trace, options.jobs)
        lines += ["", f"## Trace {trace}, {len(jobs)} jobs", "", _HEAD, _RULE]
        base = 0.0
        for name, config, blind in CONTENDERS:
            found = measure(jobs, config, blind)
            base = base or (found["mean"] if name.startswith("fair_share") else 0.0)
            times = f"{base / found['mean']:.2f}x" if base else "-"
            lines.append(
                f"| {name} | {found['mean']:.1f} | {times} | {found['median']:.1f} |"
                f" {found['p95']:.1f} | {found['makespan']:.0f} | {found['slowdown']:.2f} |"
                f" {found['unfair']:.2f} | {found['moves']:.0f} | {found['decisions']:.0f} |"
                f" {found['seconds']:.0f} |"
            )
            print(lines[-1], flush=True)
            RESULTS.write_text("\n".join(lines) + "\n")
    print(f"\n{RESULTS}")


_HEAD = (
    "| policy | mean h | against blind fair share | median h | p95 h | makespan h"
    " | slowdown p50 | slowdown p95 | preemptions | decisions | run s |"
)
_RULE = "| --- |" + " ---: |" * 10

if __name__ == "__main__":
    main()
