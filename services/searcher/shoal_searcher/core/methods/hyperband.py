"""Hyperband: brackets of synchronous successive halving.

Li et al., Hyperband: A Novel Bandit-Based Approach, JMLR 2018, algorithm 1:
https://jmlr.org/papers/v18/16-558.html. Bracket s of s_max..0 begins with
ceil((s_max + 1) / (s + 1) * divisor^s) trials at max_time / divisor^s.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from shoal_contract.searchers import HyperbandSearcher
from shoal_contract.states import TrialState
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
from shoal_searcher.core.ranking import best_first, finite
from shoal_searcher.core.state import Experiment, Rung, Trial

GONE = (TrialState.FAILED, TrialState.CANCELLED)
"""States of trials whose place in the next rung goes to the next best."""


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
        """The best of each rung that is complete."""
        plan = self.brackets(experiment)[bracket]
        if bracket >= len(experiment.brackets):
            return []
        state = experiment.brackets[bracket]
        if state.created < plan.max_trials:
            return []
        found: list[tuple[str, int]] = []
        entered = [t.number for t in experiment.trials.values() if t.bracket == bracket]
        for rung, target in enumerate(plan.targets[1:]):
            trials = [experiment.trial(number) for number in entered]
            if any(not t.over and t.rung < rung for t in trials) or rung >= len(state.rungs):
                break
            best = self._best(experiment, bracket, rung, state.rungs[rung])
            ready = [experiment.trial(number) for number in best]
            found = [(t.trial_id, target) for t in ready if t.waits and t.rung == rung] + found
            entered = best
        return found

    def _best(self, experiment: Experiment, bracket: int, rung: int, results: Rung) -> list[int]:
        order = best_first(results)
        left = [number for number in order if experiment.trial(number).state not in GONE]
        return left[: self._places(experiment, bracket, rung + 1)]

    def _places(self, experiment: Experiment, bracket: int, rung: int) -> int:
        plan, divisor = self.brackets(experiment)[bracket], self._divisor(experiment)
        return max(1, int(plan.max_trials / exact(divisor) ** rung))

    def _divisor(self, experiment: Experiment) -> float:
        searcher = experiment.config.searcher
        return searcher.divisor if isinstance(searcher, HyperbandSearcher) else 4
