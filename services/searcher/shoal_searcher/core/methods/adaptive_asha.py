"""Adaptive ASHA, as in Determined: ASHA in several brackets, so that it need not be known how early
a trial can be judged. Arithmetic as in its documentation:
https://docs.determined.ai/latest/model-dev-guide/hyperparameter/search-methods/hp-adaptive-asha.html
"""

from collections.abc import Sequence
from functools import lru_cache

from shoal_contract.searchers import AdaptiveAshaSearcher
from shoal_searcher.core.methods.async_halving import (
    AsyncHalving,
    exact,
    log_floor,
    rung_targets,
)
from shoal_searcher.core.methods.base import Bracket, concurrent
from shoal_searcher.core.state import Experiment


def rungs_by_mode(mode: str, max_rungs: int) -> tuple[int, ...]:
    """The number of rungs of each bracket, most first.

    >>> rungs_by_mode("standard", 5), rungs_by_mode("aggressive", 5), rungs_by_mode("standard", 4)
    ((5, 4, 3), (5,), (4, 3, 2))
    """
    first = {"aggressive": max_rungs, "standard": (max_rungs - 1) // 2 + 1, "conservative": 1}
    return tuple(range(max_rungs, first[mode] - 1, -1))


@lru_cache(maxsize=256)
def shares(max_trials: int, divisor: float, rungs: tuple[int, ...]) -> tuple[int, ...]:
    """Trials of each bracket, so that each trains about the same number of units: weighted by
    divisor^(rungs - 1) / rungs, at least 1; the remainder goes to the first."""
    weights = [exact(divisor) ** (n - 1) / n for n in rungs]
    found = [max(1, int(weight / sum(weights) * max_trials)) for weight in weights]
    found[0] += max(0, max_trials - sum(found))
    return tuple(found)


@lru_cache(maxsize=256)
def widths(limit: int, divisor: float, trials: tuple[int, ...]) -> tuple[int, ...]:
    """Trials of each bracket in the air at once: `limit` split evenly, the remainder one each from
    the first on. 0: as many as the narrowest bracket has, at least the divisor."""
    if limit == 0:
        return (max(min(trials), int(divisor)),) * len(trials)
    even, rest = divmod(max(limit, len(trials)), len(trials))
    return tuple(even + (number < rest) for number in range(len(trials)))


class AdaptiveAsha(AsyncHalving):
    """ASHA in brackets."""

    def brackets(self, experiment: Experiment) -> Sequence[Bracket]:
        """From the one that stops earliest to the one that stops latest."""
        c = experiment.config.searcher
        if not isinstance(c, AdaptiveAshaSearcher):
            raise TypeError(f"{c.name} is not adaptive_asha")
        limit = concurrent(experiment)
        return _brackets(
            c.max_time, c.max_trials, c.divisor, c.mode, c.max_rungs, tuple(c.bracket_rungs),
            self.total(experiment), 0 if limit > 10**9 else limit,
        )  # fmt: skip


@lru_cache(maxsize=256)
def _brackets(
    max_time: int, max_trials: int, divisor: float, mode: str, max_rungs: int,
    bracket_rungs: tuple[int, ...], total: int, limit: int,
) -> tuple[Bracket, ...]:  # fmt: skip
    ratio = exact(divisor)
    most = 1 + min(
        log_floor(max_time, ratio, max_rungs - 1), log_floor(max_trials, ratio, max_rungs - 1)
    )
    rungs = tuple(sorted(bracket_rungs, reverse=True)) or rungs_by_mode(mode, most)
    trials = shares(total, divisor, rungs)
    return tuple(
        Bracket(rung_targets(max_time, max_time**2, divisor, n), count, width)
        for n, count, width in zip(rungs, trials, widths(limit, divisor, trials), strict=True)
    )
