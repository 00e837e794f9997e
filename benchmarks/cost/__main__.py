"""`python -m benchmarks.cost [folder of the data]`: writes benchmarks/results/cost.md."""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cost import traces
from benchmarks.cost.reconcile import measured
from benchmarks.cost.table import Row, page
from benchmarks.cost.traces import Trace
from benchmarks.cost.world import Bill, Trial, World, scattered
from benchmarks.recorded import RESULTS, record
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.shell.drivers.simulated import Cloud
from shoal_provisioner.shell.pools import read_prices

TRIALS, HOURS = 64, 12.0
RESULT = RESULTS / "cost.md"
KIND = {"machine_type": "n1-standard-8", "gpu": "nvidia-tesla-v100", "gpu_count": 1}


@dataclass(frozen=True, slots=True)
class Policy:
    """A way of getting machines."""

    name: str
    pool: dict[str, object]
    checkpoints: bool = True
    slack: float | None = None
    """Deadline over the length of a trial."""


SPOT = {"provisioning": "spot"}
TIMELY = {**SPOT, "deadline_policy": "uniform_progress", "max_instances": 2 * TRIALS}
POLICIES = (
    Policy("on demand", {"provisioning": "on_demand"}),
    Policy("spot, naive restart", SPOT, checkpoints=False),
    Policy("spot, Shoal", SPOT),
    *(Policy(f"Uniform Progress, {s}x", TIMELY, slack=s) for s in (1.1, 1.5, 2.0)),
)


def simulated(policy: Policy, trace: Trace, trials: int, hours: float, limit: float) -> Bill:
    """One sweep under a policy."""
    pool = Pool(
        name="p",
        driver="simulated",
        kinds=(KIND,),
        zones=tuple(trace.zones),
        max_starting_period=900,
        **{"max_instances": trials, **policy.pool},
    )
    work = [Trial(f"e-{n}", hours * 3600) for n in range(trials)]
    deadline = policy.slack * hours * 3600 if policy.slack else None
    world = World(
        pool,
        read_prices(""),
        Cloud(trace.zones, scattered),
        work,
        checkpoints=policy.checkpoints,
        deadline=deadline,
        limit=limit,
    )
    return world.run()


def compared(
    make: Callable[[float], Trace], begins: Sequence[float], trials: int, hours: float
) -> list[Row]:
    """All policies on a trace, each from several points in it; means over these."""
    rows: list[Row] = []
    listed = 0.0
    for policy in POLICIES:
        begun = time.perf_counter()
        # Whoever starts over each time would never end: it is given up after ten times its length.
        limit = hours * 3600 * (10 if not policy.checkpoints else 40)
        bills = [simulated(policy, make(begin), trials, hours, limit) for begin in begins]
        cost = statistics.mean(bill.cost for bill in bills)
        listed = listed or cost
        late = sum(bill.finish > (policy.slack or 1e9) * hours * 3600 for bill in bills)
        rows.append(Row(policy.name, bills, cost, listed, policy.slack, late))
        print(f"{make(0).name}: {policy.name}: {time.perf_counter() - begun:.0f} s", flush=True)
    return rows


def main() -> None:
    """Simulate, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("data", nargs="?", help="folder of the data (default: see README.md)")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--starts", type=int, default=4, help="points in each trace to start from")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    data, trials = traces.folder(given.data), given.trials

    def spread(trace: Trace) -> list[float]:
        return [trace.seconds * n / given.starts for n in range(given.starts)]

    makers: list[Callable[[float], Trace]] = [
        lambda begin: traces.gcp(data, trials, begin),
        lambda begin: traces.aws(data, traces.AWS[:1], trials, begin),
        lambda begin: traces.aws(data, traces.AWS, trials, begin),
    ]
    tables = {make(0).name: compared(make, spread(make(0)), trials, given.hours) for make in makers}
    record(given.out, page(tables, trials, given.hours, given.starts, measured()))
    print(given.out)


if __name__ == "__main__":
    main()
