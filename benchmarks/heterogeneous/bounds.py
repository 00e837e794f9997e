"""What no policy can do better than: lower bounds of the mean completion time, in hours."""

import heapq
import statistics

from benchmarks.heterogeneous.clock import SLOTS
from benchmarks.heterogeneous.traces import MODELS, Job

STEPS = 20
"""Into which prices are cut."""


def alone(jobs: list[Job]) -> float:
    """Each job on its best GPUs from its arrival on, as if nobody else were there."""
    return statistics.mean(job.steps / max(job.speeds.values()) for job in jobs) / 3600


def shared(jobs: list[Job]) -> float:
    """With a price on each GPU, of 1 for all together, no schedule spends more than 1 a second,
    and a job costs at least what its cheapest GPUs do. So no schedule beats one machine that works
    off these costs, shortest remaining first (Schrage, 1968), at any prices: the best of a grid."""
    bounds = []
    for first in range(STEPS + 1):
        for second in range(STEPS + 1 - first):
            parts = (first, second, STEPS - first - second)
            prices = {m: part / STEPS / SLOTS for m, part in zip(MODELS, parts, strict=True)}
            bounds.append(_one_machine(jobs, prices))
    return max(bounds) / 3600


def _one_machine(jobs: list[Job], prices: dict[str, float]) -> float:
    """Mean seconds from arrival to end."""
    arrivals = sorted(
        (j.arrival, min(prices[m] * j.slots * j.steps / s for m, s in j.speeds.items()))
        for j in jobs
    )
    left: list[tuple[float, float]] = []
    now = total = 0.0
    ends = [arrival for arrival, _ in arrivals[1:]] + [float("inf")]
    for (arrival, cost), until in zip(arrivals, ends, strict=True):
        now = max(now, arrival)
        heapq.heappush(left, (cost, arrival))
        while left and now < until:
            cost, since = heapq.heappop(left)
            if now + cost > until:
                heapq.heappush(left, (cost - (until - now), since))
                now = until
            else:
                now += cost
                total += now - since
    return total / len(jobs)
