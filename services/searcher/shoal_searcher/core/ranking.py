"""Who is better than whom at a rung. With several objectives: by Pareto fronts, as in
Schmucker et al., Multi-objective Asynchronous Successive Halving, https://arxiv.org/abs/2106.12639.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile

from shoal_searcher.core.fronts import finite, first_front, position, ranked
from shoal_searcher.core.state import Experiment, Rung, Trial


def rank(rung: Rung, number: int) -> int:
    """A trial's place at a rung, from 1."""
    costs = rung.costs[number]
    if len(costs) > 1:
        return position(rung.fronts, ranked(costs, number)) + 1
    return bisect_left(rung.order, (costs[0], number)) + 1


def waiting_among_best(rung: Rung, keep: int) -> list[int]:
    """The trials that wait at a rung and are among its best `keep`, the best first."""
    if keep == 0 or not rung.waiting:
        return []
    if rung.fronts:
        waiting = {number for _, number in rung.waiting}
        best = islice(chain.from_iterable(rung.fronts), keep)
        return [number for _, _, number in best if number in waiting]
    last = rung.order[min(keep, len(rung.order)) - 1]
    return [number for _, number in takewhile(lambda place: place <= last, rung.waiting)]


def best_first(rung: Rung) -> Iterator[int]:
    """The trials at a rung whose results are finite numbers, the best first."""
    if rung.fronts:
        every = chain.from_iterable(rung.fronts)
        return (number for bad, _, number in every if not bad)
    return (number for cost, number in rung.order if cost < float("inf"))


def pareto_front(experiment: Experiment) -> list[Trial]:
    """The trials whose last result no other's beats in every objective, by number."""
    points = {
        trial.number: trial.costs
        for trial in experiment.trials.values()
        if trial.costs and finite(trial.costs)
    }
    return [experiment.trial(number) for number in sorted(first_front(points))]


def above_median(means: Sequence[float], own: float, cost: float) -> bool:
    """Whether `cost` exceeds the median of the sorted `means` without one of value `own`."""
    at = bisect_right(means, own) - 1
    others: Iterable[float] = (*means[:at], *means[at + 1 :])
    rest = list(others)
    if not rest:
        return False
    middle = len(rest) // 2
    median = rest[middle] if len(rest) % 2 else (rest[middle - 1] + rest[middle]) / 2
    return cost > median
