"""`python -m benchmarks.heterogeneous [DATA]`: all policies over Gavel's traces, as a table."""

import argparse
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.heterogeneous.bounds import alone, shared
from benchmarks.heterogeneous.clock import LEAVE, PER_NODE, ROUND, SLOTS, START, View
from benchmarks.heterogeneous.measure import measure
from benchmarks.heterogeneous.traces import Job, read_jobs
from benchmarks.recorded import RESULTS, record
from shoal_scheduler.core.pools import PoolConfig

RESULT = RESULTS / "heterogeneous.md"
CONTENDERS = (
    ("fifo", PoolConfig(policy="fifo"), View(blind=True)),
    ("fair_share, blind", PoolConfig(policy="fair_share"), View(blind=True)),
    ("priority, all alike", PoolConfig(policy="priority"), View(blind=True)),
    ("throughput, blind (turns alone)", PoolConfig(policy="throughput"), View(blind=True)),
    ("throughput, targets not known", PoolConfig(policy="throughput"), View(endless=True)),
    ("throughput", PoolConfig(policy="throughput"), View()),
    ("(throughput, speeds told)", PoolConfig(policy="throughput"), View(told=True)),
    ("(throughput, told, moves free)", PoolConfig(policy="throughput"), View(told=True, free=True)),
)
"""Name, settings, view. Those in brackets are not to be had: they show what learning and moves
cost."""
FULL = ("fair_share, blind", "throughput")
"""Those that also get all jobs of a trace, where asked for."""


def main() -> None:
    """Print the table, and write it to benchmarks/results/heterogeneous.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default=os.environ.get("SHOAL_DATA", "../shared/data"))
    parser.add_argument("--traces", nargs="+", default=["ee9e8c", "6c71a0"])
    parser.add_argument("--jobs", type=int, default=800, help="the first so many of each trace")
    parser.add_argument("--full", action="store_true", help="also all jobs, for two policies: long")
    parser.add_argument("--policies", nargs="+", help="only those whose names contain one of these")
    options = parser.parse_args()
    contenders = [
        one for one in CONTENDERS if any(word in one[0] for word in options.policies or [""])
    ]
    lines = [
        f"# Unlike GPUs: {SLOTS} V100, {SLOTS} P100, {SLOTS} K80",
        "",
        "Gavel's measured throughputs and job traces drawn from Philly (Narayanan et al., OSDI"
        f" 2020), nodes of {PER_NODE} GPUs, the real scheduler core on a virtual clock, a Tick"
        f" every {ROUND:g} s. A start costs {START:g} s, yielding {LEAVE:g} s and no work."
        " `throughput` learns speeds and how far a job is from two reports of each run; to the"
        " others all GPUs look alike. In brackets is what is not to be had: it shows what learning"
        " and moves cost. A job is an experiment of its own. Slowdown: completion time"
        " over the time that the job takes alone on a GPU of average speed; its 95th percentile"
        " says how unfair a policy is.",
        "",
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores",
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = [(f"the first {options.jobs} jobs", options.jobs, contenders)]
        if options.full:
            parts.append(("all {} jobs", 0, [one for one in contenders if one[0] in FULL]))
        for what, count, chosen in parts:
            for trace in options.traces:
                jobs = read_jobs(Path(options.data), trace, count)
                asked = {
                    name: pool.submit(measure, jobs, config, view) for name, config, view in chosen
                }
                lines += ["", f"## Trace {trace}, {what.format(len(jobs))}", ""]
                lines += [_bounds(jobs), "", _HEAD, _RULE]
                base = 0.0
                for name in asked:
                    found = asked[name].result()
                    base = base or (found["mean"] if name.startswith("fair_share") else 0.0)
                    lines.append(_row(name, found, base))
                    print(lines[-1], flush=True)
                    record(RESULT, "\n".join(lines))
    print(f"\n{RESULT}")


def _row(name: str, found: dict[str, float], base: float) -> str:
    times = f"{base / found['mean']:.2f}x" if base else "-"
    return (
        f"| {name} | {found['mean']:.1f} | {times} | {found['median']:.1f} |"
        f" {found['p95']:.1f} | {found['makespan']:.0f} | {found['slowdown']:.2f} |"
        f" {found['unfair']:.2f} | {found['moves']:.0f} | {found['decisions']:.0f} |"
        f" {found['seconds']:.0f} |"
    )


def _bounds(jobs: list[Job]) -> str:
    """What no policy can do better than."""
    return (
        f"No policy gets below a mean of {alone(jobs):.1f} h, what the jobs take if each has its"
        f" best GPUs at once and alone, nor below {shared(jobs):.1f} h, what they take one after"
        " another on all GPUs together, shortest remaining first (a relaxation that prices the"
        " GPUs)."
    )


_HEAD = (
    "| policy | mean h | against blind fair share | median h | p95 h | makespan h"
    " | slowdown p50 | slowdown p95 | preemptions | decisions | processor s |"
)
_RULE = "| --- |" + " ---: |" * 10

if __name__ == "__main__":
    main()
