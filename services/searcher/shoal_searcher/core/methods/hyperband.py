"""Hyperband: brackets of synchronous successive halving.

Li et al., Hyperband: A Novel Bandit-Based Approach, JMLR 2018, algorithm 1:
https://jmlr.org/papers/v18/16-558.html. Bracket s of s_max..0 begins with
ceil((s_max + 1) / (s + 1) * divisor^s) trials at max_time / divisor^s.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from shoal_contract.searchers import HyperbandSearcher
from shoal_searcher.core.fronts import finite
from shoal_searcher.core.methods.async_halving import MAX_RUNGS, exact, log_floor
from shoal_searcher.core.methods.base import (
    Bracket,
    Complete,
    Pause,
    Rungs,
    Stop,
    Verdict,
    concurrent,
)
from shoal_searcher.core.ranking import best_first
from shoal_searcher.core.state import Experiment, Trial


@lru_cache(maxsize=256)
def brackets_of(max_time: int, divisor: float) -> tuple[tuple[tuple[int, ...], int], ...]:
    """For each bracket its targets and its trials.

    >>> brackets_of(27, 3)
    (((1, 3, 9, 27), 27), ((3, 9, 27), 12), ((9, 27), 6), ((27,), 4))
    """
    ratio = exact(divisor)
    top = log_floor(max_time, ratio, MAX_RUNGS)
    return tuple(
        (
            tuple(max(1, int(max_time / ratio**i)) for i in range(s, -1, -1)),
            math.ceil(ratio**s * (top + 1) / (s + 1)),
        )
        for s in range(top, -1, -1)
    )


class Hyperband(Rungs):
    """A rung is judged when all that can reach it have; then its best 1/divisor go on."""

    def brackets(self, experiment: Experiment) -> Sequence[Bracket]:
        """All brackets, as often as `passes` says; one begins when there is room beside those
        before it."""
        c = experiment.config.searcher
        if not isinstance(c, HyperbandSearcher):
            raise TypeError(f"{c.name} is not hyperband")
        width = concurrent(experiment)
        one = [Bracket(targets, n, width) for targets, n in brackets_of(c.max_time, c.divisor)]
        return one * c.passes

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """Complete at the top; else wait for the others."""
        targets = self.targets(experiment, trial)
        if rung == len(targets) - 1:
            return Complete(f"trained in full, {targets[-1]}")
        place = self.standing(experiment, trial)
        if not finite(experiment.rung(trial.bracket, rung).costs[trial.number]):
            return Stop(f"{place}: its result is no finite number")
        return Pause(f"waits until its rung is complete: {place}")

    def keep(self, experiment: Experiment, trial: Trial) -> int:
        """floor(trials of the bracket / divisor^(rung + 1)), at least 1."""
        return self._places(experiment, trial.bracket, trial.rung + 1)

    def promotable(self, experiment: Experiment, bracket: int) -> list[tuple[str, int]]:
        """The best of the highest rung that is complete. The place of a trial that failed or was
        cancelled goes to the next best."""
        plan = self.brackets(experiment)[bracket]
        if bracket >= len(experiment.brackets):
            return []
        state = experiment.brackets[bracket]
        if state.created < plan.max_trials:
            return []
        placed = [t for t, where in experiment.places.items() if where == bracket]
        lowest = min((experiment.trials[t].rung for t in placed), default=len(plan.targets))
        for rung, (target, results) in enumerate(zip(plan.targets[1:], state.rungs, strict=False)):
            if lowest < rung:  # somebody is on the way to it
                break
            waiting = {number for _, number in results.waiting}
            left = (number for number in best_first(results) if number not in experiment.gone)
            best = islice(left, self._places(experiment, bracket, rung + 1))
            if found := [experiment.trial(n).trial_id for n in best if n in waiting]:
                return [(trial_id, target) for trial_id in found]
        return []

    def _places(self, experiment: Experiment, bracket: int, rung: int) -> int:
        plan, divisor = self.brackets(experiment)[bracket], self._divisor(experiment)
        return max(1, int(plan.max_trials / exact(divisor) ** rung))

    def _divisor(self, experiment: Experiment) -> float:
        searcher = experiment.config.searcher
        return searcher.divisor if isinstance(searcher, HyperbandSearcher) else 4
