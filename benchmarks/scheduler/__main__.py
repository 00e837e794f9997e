"""`python -m benchmarks.scheduler`: decisions a second and latency of the scheduler's core."""

import argparse
import itertools
import os
import platform
from concurrent.futures import ProcessPoolExecutor

from benchmarks.recorded import RESULTS, record
from benchmarks.scheduler.load import SLOTS_PER_NODE, TRIALS_PER_EXPERIMENT
from benchmarks.scheduler.measure import measure

RESULT = RESULTS / "scheduler.md"


def main() -> None:
    """Print the table, and write it to benchmarks/results/scheduler.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--policies", nargs="+", default=["fifo", "fair_share", "priority", "throughput"]
    )
    parser.add_argument("--slots", nargs="+", type=int, default=[100, 1000, 10_000])
    parser.add_argument("--queued", nargs="+", type=int, default=[100, 10_000, 100_000])
    options = parser.parse_args()
    lines = [
        "# The scheduler's core",
        "",
        f"Nodes of {SLOTS_PER_NODE} slots; {TRIALS_PER_EXPERIMENT} trials an experiment; eight"
        " in nine want one slot, the ninth four. `allocations/s`: requests that find a place,"
        " one message each, and the making of these; the median of five empty clusters."
        " `request` and `end`: one message with the cluster and the queue full, its decision and"
        " its effect on the state together; an end frees slots and lets others start; a `tick`"
        " looks at who has to yield, and what was asked for leaves before the next. Times are of"
        " the processor, so that others on the machine do not count.",
        "",
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f} at the beginning",
        "",
        "| policy | slots | queued | allocations/s, empty cluster | request p50 ms | p99 ms"
        " | end p50 ms | p99 ms | tick p50 ms | p99 ms | ends/s | peak memory MiB |",
        "| --- |" + " ---: |" * 11,
    ]
    print("\n".join(lines[-2:]))
    sizes = itertools.product(options.policies, options.slots, options.queued)
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as alone:  # so that each has its own peak
        for policy, slots, queued in sizes:
            found = alone.submit(measure, policy, slots, queued).result()
            lines.append(
                f"| {policy} | {slots} | {queued} | {found['filling']:.0f} |"
                f" {found['queue_p50']:.2f} | {found['queue_p99']:.2f} |"
                f" {found['end_p50']:.2f} | {found['end_p99']:.2f} |"
                f" {found['tick_p50']:.2f} | {found['tick_p99']:.2f} |"
                f" {found['decisions']:.0f} | {found['memory']:.0f} |"
            )
            print(lines[-1], flush=True)
            record(RESULT, "\n".join(lines))
    print(f"\n{RESULT}")


if __name__ == "__main__":
    main()
