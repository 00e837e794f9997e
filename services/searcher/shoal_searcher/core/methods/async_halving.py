"""Asynchronous successive halving (ASHA).

Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, algorithm 2:
https://arxiv.org/abs/1810.05934. Rungs are Determined's, so that its configurations do the same:
`max_time / divisor^i`, floored, at least 1; at most floor(log(max_time)/log(divisor)) + 1 and
floor(log(max_trials)/log(divisor)) + 1 of them.
"""

from shoal_contract.config import AsyncHalvingSearcher
from shoal_contract.states import TrialState
from shoal_searcher.core.methods.base import Complete, Extend, Pause, Stop, Verdict
from shoal_searcher.core.methods.full import Single
from shoal_searcher.core.state import Experiment, Trial


def rung_targets(max_time: int, max_trials: int, divisor: float, num_rungs: int) -> list[int]:
    """Where results are judged, ascending; the last is `max_time`."""
    count = min(num_rungs, _log_floor(max_time, divisor) + 1, _log_floor(max_trials, divisor) + 1)
    found = {max(1, int(max_time / divisor**i)) for i in range(count)}
    return sorted(found)


def _log_floor(value: int, base: float) -> int:
    """floor(log(value) / log(base)), by multiplication: logarithms round 3^5 to 4.99…"""
    power, result = base, 0
    while power <= value:
        power *= base
        result += 1
    return result


class AsyncHalving(Single):
    """ASHA. With `stop_once` a trial below the cut ends; without, it is paused and may be
    promoted when more results make it one of the best 1/divisor of its rung."""

    def total(self, experiment: Experiment) -> int:
        """`max_trials`."""
        return _config(experiment).max_trials

    def targets(self, experiment: Experiment) -> list[int]:
        """One for each rung."""
        c = _config(experiment)
        return rung_targets(c.max_time, c.max_trials, c.divisor, c.num_rungs)

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """Complete at the top; else on to the next rung if among the best 1/divisor."""
        targets = self.targets(experiment)
        if rung == len(targets) - 1:
            return Complete(f"trained in full, {targets[-1]}")
        c = _config(experiment)
        results = experiment.rungs[rung]
        value = results[trial.trial_id]
        rank = _ranked(experiment, results).index(trial.trial_id) + 1
        # The stopping variant lets the first results through, or nothing would ever train on.
        keep = int(len(results) / c.divisor)
        if c.stop_once:
            keep = max(1, keep)
        place = f"{rank} of {len(results)} at rung {rung}"
        if value is not None and rank <= keep:
            return Extend(targets[rung + 1], f"{place}: among the best 1/{c.divisor:g}")
        if c.stop_once or value is None:
            return Stop(f"{place}: not among the best 1/{c.divisor:g}")
        return Pause(f"{place}: waits for more results; the best {keep} go on")

    def promotable(self, experiment: Experiment) -> list[tuple[str, int]]:
        """Paused trials among the best 1/divisor of their rung, the highest rung first."""
        c = _config(experiment)
        if c.stop_once:
            return []
        found: list[tuple[str, int]] = []
        targets = self.targets(experiment)
        for rung in range(len(targets) - 2, -1, -1):
            results = experiment.rungs[rung] if rung < len(experiment.rungs) else {}
            for trial_id in _ranked(experiment, results)[: int(len(results) / c.divisor)]:
                trial = experiment.trials[trial_id]
                waits = (
                    trial.state is TrialState.PAUSED
                    and trial.rung == rung
                    and not trial.held_by_user
                )
                if waits and results[trial_id] is not None:
                    found.append((trial_id, targets[rung + 1]))
        return found


def _config(experiment: Experiment) -> AsyncHalvingSearcher:
    searcher = experiment.config.searcher
    if not isinstance(searcher, AsyncHalvingSearcher):
        raise TypeError(f"{searcher.name} is not async_halving")
    return searcher


def _ranked(experiment: Experiment, results: dict[str, float | None]) -> list[str]:
    """Trials, best first; of equals, the earlier proposal first, whatever came in first."""

    def key(trial_id: str) -> tuple[float, int]:
        return experiment.cost(results[trial_id]), experiment.trials[trial_id].number

    return sorted(results, key=key)
