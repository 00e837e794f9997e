"""Who is better than whom at a rung. With several objectives: by Pareto fronts, as in
Schmucker et al., Multi-objective Asynchronous Successive Halving, https://arxiv.org/abs/2106.12639.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from shoal_searcher.core.state import Experiment, Rung, Trial


def rank(rung: Rung, number: int) -> int:
    """A trial's place at a rung, from 1."""
    costs = rung.costs[number]
    if len(costs) > 1:
        return _by_fronts(rung.costs).index(number) + 1
    return bisect_left(rung.order, (costs[0], number)) + 1


def waiting_among_best(rung: Rung, keep: int) -> list[int]:
    """The trials that wait at a rung and are among its best `keep`, the best first."""
    if keep == 0 or not rung.waiting:
        return []
    if len(rung.costs[rung.waiting[0][1]]) > 1:
        waiting = {number for _, number in rung.waiting}
        return [number for number in _by_fronts(rung.costs)[:keep] if number in waiting]
    last = rung.order[min(keep, len(rung.order)) - 1]
    return [number for _, number in takewhile(lambda place: place <= last, rung.waiting)]


def fronts(points: Mapping[int, Sequence[float]]) -> list[list[int]]:
    """Keys by Pareto front: nobody in the first is beaten in every objective, nobody in the second
    by any but the first's, and so on (Zhang et al., ENS-SS, https://doi.org/10.1109/TEVC.2014.2308305).

    >>> fronts({1: (0.0, 2.0), 2: (1.0, 1.0), 3: (2.0, 2.0)})
    [[1, 2], [3]]
    """
    found: list[list[int]] = []
    for key in sorted(points, key=lambda k: (tuple(points[k]), k)):
        for front in found:
            if not any(_dominates(points[other], points[key]) for other in reversed(front)):
                front.append(key)
                break
        else:
            found.append([key])
    return found


def best_first(rung: Rung) -> list[int]:
    """The trials at a rung whose results are finite numbers, the best first."""
    if rung.order and len(rung.costs[rung.order[0][1]]) > 1:
        return [n for n in _by_fronts(rung.costs) if finite(rung.costs[n])]
    return [number for cost, number in rung.order if cost < float("inf")]


def finite(costs: Sequence[float]) -> bool:
    """Whether a result is a finite number in every objective."""
    return max(costs) < float("inf")


def _by_fronts(points: Mapping[int, Sequence[float]]) -> list[int]:
    """Front after front; what is no finite number in some objective comes last."""
    good = {key: costs for key, costs in points.items() if finite(costs)}
    bad = {key: costs for key, costs in points.items() if key not in good}
    return [key for part in (good, bad) for front in fronts(part) for key in front]


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


def pareto_front(experiment: Experiment) -> list[Trial]:
    """The trials whose last result no other's beats in every objective, by number."""
    points = {
        trial.number: trial.costs
        for trial in experiment.trials.values()
        if trial.costs and finite(trial.costs)
    }
    best = fronts(points)[0] if points else []
    return [experiment.trial(number) for number in sorted(best)]


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
