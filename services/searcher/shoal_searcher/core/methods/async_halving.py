"""Asynchronous successive halving (ASHA).

Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, algorithm 2:
https://arxiv.org/abs/1810.05934. Rungs are Determined's, so that its configurations do the same:
`max_time / divisor^i`, floored, at least 1; at most floor(log(max_time)/log(divisor)) + 1 and
floor(log(max_trials)/log(divisor)) + 1 of them.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

from shoal_contract.searchers import AsyncHalvingSearcher, Halving
from shoal_searcher.core.fronts import finite
from shoal_searcher.core.methods.base import (
    Bracket,
    Complete,
    Extend,
    Pause,
    Rungs,
    Stop,
    Verdict,
    concurrent,
)
from shoal_searcher.core.ranking import rank, waiting_among_best
from shoal_searcher.core.state import Experiment, Trial

MAX_RUNGS = 100
"""More are never useful; it bounds the arithmetic for a divisor that is hardly above 1."""


@lru_cache(maxsize=1024)
def rung_targets(max_time: int, max_trials: int, divisor: float, num_rungs: int) -> tuple[int, ...]:
    """Where results are judged: distinct, ascending; the last is `max_time`.

    >>> rung_targets(100, 16, 4, 5)
    (6, 25, 100)
    """
    ratio = exact(divisor)
    most = min(num_rungs, MAX_RUNGS) - 1
    top = min(log_floor(max_time, ratio, most), log_floor(max_trials, ratio, most))
    return tuple(sorted({max(1, int(max_time / ratio**i)) for i in range(top + 1)}))


def exact(divisor: float) -> Fraction:
    """The number as it was written: 1.1 is 11/10, not the float beside it."""
    return Fraction(repr(divisor))


def log_floor(value: int, base: Fraction, most: int) -> int:
    """min(most, floor(log(value) / log(base))), exactly: logarithms make 4.99… of log_3(3^5)."""
    power, result = base, 0
    while result < most and power <= value:
        power *= base
        result += 1
    return result


@lru_cache(maxsize=1024)
def cut(count: int, divisor: float, round_up: bool = False) -> int:
    """How many of `count` results in a rung go on: floor(count / divisor), or the ceiling of it
    from the second result on."""
    share = count / exact(divisor)
    return ceil(share) if round_up and count > 1 else floor(share)


class AsyncHalving(Rungs):
    """ASHA. With `stop_once` a trial below the cut ends; without, it is paused and may be
    promoted when more results make it one of the best 1/divisor of its rung."""

    def brackets(self, experiment: Experiment) -> Sequence[Bracket]:
        """One. Its rungs are those of the config, whatever a person makes of `max_trials`."""
        c = experiment.config.searcher
        if not isinstance(c, AsyncHalvingSearcher):
            raise TypeError(f"{c.name} is not async_halving")
        targets = rung_targets(c.max_time, c.max_trials, c.divisor, c.num_rungs)
        return (Bracket(targets, self.total(experiment), concurrent(experiment)),)

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """Complete at the top; else on to the next rung if among the best 1/divisor.

        A result that is no number can never be promoted, so its trial ends.
        """
        targets = self.targets(experiment, trial)
        if rung == len(targets) - 1:
            return Complete(f"trained in full, {targets[-1]}")
        place = self.standing(experiment, trial)
        results = experiment.rung(trial.bracket, rung)
        if not finite(results.costs[trial.number]):
            return Stop(f"{place}: its result is no finite number")
        if rank(results, trial.number) <= self.keep(experiment, trial):
            return Extend(targets[rung + 1], place)
        return Stop(place) if _config(experiment).stop_once else Pause(place)

    def keep(self, experiment: Experiment, trial: Trial) -> int:
        """`cut` of the results; with `stop_once` at least 1, or nothing would ever go on."""
        c = _config(experiment)
        results = experiment.rung(trial.bracket, trial.rung)
        keep = cut(len(results.costs), c.divisor, c.round_up)
        return max(1, keep) if c.stop_once else keep

    def promotable(self, experiment: Experiment, bracket: int) -> list[tuple[str, int]]:
        """Paused trials among the best 1/divisor of their rung, the highest rung first."""
        c, targets = _config(experiment), self.brackets(experiment)[bracket].targets
        if c.stop_once:
            return []
        found: list[tuple[str, int]] = []
        rungs = experiment.brackets[bracket].rungs if bracket < len(experiment.brackets) else []
        for rung in range(min(len(targets) - 1, len(rungs)) - 1, -1, -1):
            results = rungs[rung]
            keep = cut(len(results.costs), c.divisor, c.round_up)
            for number in waiting_among_best(results, keep):
                if finite(results.costs[number]):
                    found.append((experiment.trial(number).trial_id, targets[rung + 1]))
        return found


def _config(experiment: Experiment) -> Halving:
    searcher = experiment.config.searcher
    if not isinstance(searcher, Halving):
        raise TypeError(f"{searcher.name} does not halve")
    return searcher
