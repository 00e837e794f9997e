"""Asynchronous successive halving (ASHA).

Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, algorithm 2:
https://arxiv.org/abs/1810.05934. Rungs are Determined's, so that its configurations do the same:
`max_time / divisor^i`, floored, at least 1; at most floor(log(max_time)/log(divisor)) + 1 and
floor(log(max_trials)/log(divisor)) + 1 of them.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

from shoal_contract.config import AsyncHalvingSearcher
from shoal_contract.states import TrialState
from shoal_searcher.core.methods.base import Complete, Extend, FullLength, Pause, Stop, Verdict
from shoal_searcher.core.state import Experiment, Trial

MAX_RUNGS = 100
"""More are never useful; it bounds the arithmetic for a divisor that is hardly above 1."""


@lru_cache(maxsize=1024)
def rung_targets(max_time: int, max_trials: int, divisor: float, num_rungs: int) -> tuple[int, ...]:
    """Where results are judged: distinct, ascending; the last is `max_time`.

    >>> rung_targets(100, 16, 4, 5)
    (6, 25, 100)
    """
    ratio = _ratio(divisor)
    most = min(num_rungs, MAX_RUNGS) - 1
    top = min(_log_floor(max_time, ratio, most), _log_floor(max_trials, ratio, most))
    return tuple(sorted({max(1, int(max_time / ratio**i)) for i in range(top + 1)}))


def _ratio(divisor: float) -> Fraction:
    """The number as it was written: 1.1 is 11/10, not the float beside it."""
    return Fraction(repr(divisor))


def _log_floor(value: int, base: Fraction, most: int) -> int:
    """min(most, floor(log(value) / log(base))), exactly: logarithms make 4.99… of log_3(3^5)."""
    power, result = base, 0
    while result < most and power <= value:
        power *= base
        result += 1
    return result


def cut(count: int, divisor: float) -> int:
    """How many of `count` results in a rung go on: floor(count / divisor)."""
    return int(count / _ratio(divisor))


class AsyncHalving(FullLength):
    """ASHA. With `stop_once` a trial below the cut ends; without, it is paused and may be
    promoted when more results make it one of the best 1/divisor of its rung."""

    def total(self, experiment: Experiment) -> int:
        """`max_trials`."""
        return _config(experiment).max_trials

    def targets(self, experiment: Experiment) -> list[int]:
        """One for each rung."""
        c = _config(experiment)
        return list(rung_targets(c.max_time, c.max_trials, c.divisor, c.num_rungs))

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """Complete at the top; else on to the next rung if among the best 1/divisor.

        A result that is no number can never be promoted, so its trial ends.
        """
        c, targets = _config(experiment), self.targets(experiment)
        if rung == len(targets) - 1:
            return Complete(f"trained in full, {targets[-1]}")
        results = experiment.rungs[rung]
        rank = _rank(experiment, results, trial.trial_id)
        keep = cut(len(results), c.divisor)
        if c.stop_once:
            keep = max(1, keep)  # the first results pass, or nothing would ever train on
        place = self.standing(experiment, trial)
        if results[trial.trial_id] is None:
            return Stop(f"{place}: its result is no finite number")
        if rank <= keep:
            return Extend(targets[rung + 1], place)
        return Stop(place) if c.stop_once else Pause(place)

    def promotable(self, experiment: Experiment) -> list[tuple[str, int]]:
        """Paused trials among the best 1/divisor of their rung, the highest rung first."""
        c, targets = _config(experiment), self.targets(experiment)
        if c.stop_once:
            return []
        found: list[tuple[str, int]] = []
        for rung in range(min(len(targets) - 1, len(experiment.rungs)) - 1, -1, -1):
            results = experiment.rungs[rung]
            keep = cut(len(results), c.divisor)
            for trial_id in _ranked(experiment, results)[:keep] if keep else ():
                trial = experiment.trials[trial_id]
                waits = trial.state is TrialState.PAUSED and not trial.held_by_user
                if waits and trial.rung == rung and results[trial_id] is not None:
                    found.append((trial_id, targets[rung + 1]))
        return found

    def standing(self, experiment: Experiment, trial: Trial) -> str:
        """Its rank in its rung, and how many of that rung go on."""
        if trial.rung < 0:
            return f"measured up to {max(trial.time, 0)}, before the first rung"
        c, targets = _config(experiment), self.targets(experiment)
        results = experiment.rungs[trial.rung]
        rank = _rank(experiment, results, trial.trial_id)
        place = f"rank {rank} of {len(results)} in rung {trial.rung} (at {targets[trial.rung]})"
        if trial.rung == len(targets) - 1:
            return place
        keep = cut(len(results), c.divisor)
        return f"{place}, of which the best {max(1, keep) if c.stop_once else keep} go on"


def _config(experiment: Experiment) -> AsyncHalvingSearcher:
    searcher = experiment.config.searcher
    if not isinstance(searcher, AsyncHalvingSearcher):
        raise TypeError(f"{searcher.name} is not async_halving")
    return searcher


Row = tuple[bool, float, int, str]


def _row(experiment: Experiment, trial_id: str, value: float | None) -> Row:
    """What a result is compared by: no number comes last; of equals, the earlier proposal comes
    first, whatever came in first."""
    number = experiment.trials[trial_id].number
    return value is None, experiment.cost(value), number, trial_id


def _ranked(experiment: Experiment, results: Mapping[str, float | None]) -> list[str]:
    """Trials, best first."""
    return [row[-1] for row in sorted([_row(experiment, t, v) for t, v in results.items()])]


def _rank(experiment: Experiment, results: Mapping[str, float | None], trial_id: str) -> int:
    """A trial's place among the results, from 1. Compares rows only where results are equal."""
    value = results[trial_id]
    cost, row = experiment.cost(value), _row(experiment, trial_id, value)
    sign = 1 if experiment.config.searcher.smaller_is_better else -1
    rank = 1
    for other, found in results.items():
        theirs = math.inf if found is None else sign * found
        if theirs < cost or (theirs == cost and _row(experiment, other, found) < row):
            rank += 1
    return rank
