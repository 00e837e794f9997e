"""The page of results."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.cost.reconcile import Pass
from benchmarks.cost.world import Bill

HEAD = """# What a sweep costs

{trials} trials of {hours:g} h on one V100 each (n1-standard-8), a checkpoint every 5 minutes, a
machine works 185 s after it was asked for and is paid for 180 s of that. The real decider of the
provisioner on a virtual clock (`python -m benchmarks.cost`); the bill is the sum of its own
`instance.metered` events: starts, idling and lost work are in it. Means over {starts} points of a
trace to start from; a trace that ends begins again.

Prices: us-central1 as listed in 2023, also where the availability was measured elsewhere: a machine
on demand 2.86 USD an hour, spot 0.82. **The list discount is 71.3 %: no policy can save more.**

Assumed against us: a preemption loses all work since the last periodic checkpoint (nothing is saved
in the notice), disks and traffic are left out on both sides, and the GCP trace counts its own
group's time to refill as time without capacity. A capacity trace says how many machines are lost,
not which: they are picked at random, the same in each run.

- *spot, naive restart*: as Shoal, but without checkpoints: whoever loses the machine starts over.
- *useful*: the share of paid machine-time that was training of which nothing had to be repeated.
- *late*: starts of which at least one trial missed its deadline.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A policy's results on a trace."""

    policy: str
    bills: Sequence[Bill]
    cost: float
    listed: float
    """What on demand costs."""
    slack: float | None
    late: int

    def cells(self) -> list[str]:
        """As they stand in the table."""

        def mean(of: Sequence[float]) -> float:
            return statistics.mean(of)

        bills = self.bills
        done = all(bill.done for bill in bills)
        ends = [bill.finish / 3600 for bill in bills]
        paid = sum(bill.paid for bill in bills)
        return [
            self.policy,
            f"{self.cost:,.0f}",
            f"{1 - self.cost / self.listed:.1%}",
            f"{sum(b.useful for b in bills) / paid:.1%}",
            f"{mean([b.preemptions for b in bills]):.0f}",
            f"{mean([b.lost for b in bills]) / 3600:.1f}",
            f"{mean([b.uses.get('starting', 0) for b in bills]) / 3600:.1f}",
            f"{mean([b.uses.get('idle', 0) for b in bills]) / 3600:.1f}",
            f"{sum(b.on_demand for b in bills) / paid:.0%}",
            f"{mean(ends):.1f} ({max(ends):.1f})" if done else f"not within {max(ends):.0f}",
            f"{self.late} of {len(bills)}" if self.slack else "",
        ]


COLUMNS = (
    "policy", "USD", "saved", "useful", "preemptions", "lost, h", "starting, h", "idle, h",
    "on demand", "finish, h (worst)", "late",
)  # fmt: skip


def _verdict(tables: Mapping[str, Sequence[Row]]) -> str:
    """How the goals were met: on the first trace, and for deadlines on all."""
    shoal = next(row for row in next(iter(tables.values())) if row.policy == "spot, Shoal")
    timely = [row for rows in tables.values() for row in rows if row.slack]
    late, runs = sum(row.late for row in timely), sum(len(row.bills) for row in timely)
    saved, useful = shoal.cells()[2:4]
    return (
        f"Goals, on the GCP trace with spot alone: 70 % net saving: {saved}; useful share over"
        f" 95 %: {useful}. No deadline missed: {late} of {runs} sweeps late. What is between the"
        " saving and the discount are starts and repeated work; what a deadline costs is on-demand"
        " time.\n"
    )


def page(
    tables: Mapping[str, Sequence[Row]], trials: int, hours: float, starts: int, passed: Pass
) -> str:
    """The whole page."""
    parts = [HEAD.format(trials=trials, hours=hours, starts=starts), _verdict(tables)]
    for name, rows in tables.items():
        lines = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *(row.cells() for row in rows)]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"## {name}\n\n{table}\n")
    parts.append(passed.text())
    return "\n".join(parts)
