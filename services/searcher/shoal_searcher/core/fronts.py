"""Pareto fronts that take one result at a time: of the first nobody is dominated, of the second by
none but the first's, and so on. A front is found by bisection, and only what a new result dominates
moves on (Li et al., Efficient Nondomination Level Update, https://doi.org/10.1109/TCYB.2016.2621008).
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from operator import le

Ranked = tuple[bool, tuple[float, ...], int]
"""Whether a result is no finite number in some objective, its costs, and whose it is. Whoever
dominates another comes before it."""
Fronts = list[list[Ranked]]
"""Each front in order."""


def finite(costs: Sequence[float]) -> bool:
    """Whether a result is a finite number in every objective."""
    return max(costs) < float("inf")


def ranked(costs: Sequence[float], key: int) -> Ranked:
    """A result as fronts have it."""
    return not finite(costs), tuple(costs), key


def fronts(points: Mapping[int, Sequence[float]]) -> list[list[int]]:
    """The keys of all points, by front.

    >>> fronts({1: (0.0, 2.0), 2: (1.0, 1.0), 3: (2.0, 2.0)})
    [[1, 2], [3]]
    """
    found: Fronts = []
    for new in sorted(ranked(costs, key) for key, costs in points.items()):
        insert(found, new)
    return [[key for _, _, key in front] for front in found]


def first_front(points: Mapping[int, Sequence[float]]) -> list[int]:
    """The keys of the points that no other dominates."""
    found: list[Ranked] = []
    for new in sorted(ranked(costs, key) for key, costs in points.items()):
        if not _dominated(found, new):
            found.append(new)
    return [key for _, _, key in found]


def insert(found: Fronts, new: Ranked) -> None:
    """Put a result where it belongs, and on to the next front what it dominates there."""
    at, coming = _level(found, new), [new]
    while coming and at < len(found):
        front = found[at]
        leaving = {other for one in coming for other in _dominated_by(front, one)}
        if len(leaving) == len(front):  # then each further front moves on by one as well
            break
        if leaving:
            found[at] = front = [other for other in front if other not in leaving]
        for one in coming:
            insort(front, one)
        coming, at = sorted(leaving), at + 1
    if coming:
        found.insert(at, coming)


def position(found: Fronts, of: Ranked) -> int:
    """How many results come before one of them: better fronts, and of its own those in order."""
    at = _level(found, of)
    return sum(map(len, found[:at])) + bisect_left(found[at], of)


def _level(found: Fronts, of: Ranked) -> int:
    """The front of a result, from 0: the first of which nobody dominates it."""
    return bisect_left(found, True, key=lambda front: not _dominated(front, of))


def _dominated(front: Sequence[Ranked], of: Ranked) -> bool:
    """Whether somebody of a front dominates a result."""
    before = bisect_left(front, of)
    if len(of[1]) == 2:  # then the last one before it is the best of them in the second objective
        return before > 0 and _dominates(front[before - 1], of)
    return any(_dominates(other, of) for other in reversed(front[:before]))


def _dominated_by(front: Sequence[Ranked], one: Ranked) -> Iterable[Ranked]:
    """Those of a front that a result dominates."""
    after = front[bisect_right(front, one[:2], key=lambda other: other[:2]) :]
    if len(one[1]) == 2:  # then they follow one another
        return takewhile(lambda other: _dominates(one, other), after)
    return (other for other in after if _dominates(one, other))


def _dominates(a: Ranked, b: Ranked) -> bool:
    """Whether `a` is nowhere worse and somewhere better, or finite where `b` is not."""
    if a[0] != b[0]:
        return b[0]
    return a[1] != b[1] and all(map(le, a[1], b[1]))
