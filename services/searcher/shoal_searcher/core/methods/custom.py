"""A search that a program of the user's drives over the gateway."""

from collections.abc import Sequence

from shoal_searcher.core.methods.base import (
    Bracket,
    Complete,
    FullLength,
    Pause,
    Verdict,
    concurrent,
)
from shoal_searcher.core.state import Experiment, Trial


class Custom(FullLength):
    """Trials come from requests. At its target a trial gives its slots back and waits for the
    program to extend or stop it."""

    def brackets(self, experiment: Experiment) -> Sequence[Bracket]:
        """One, without trials of the method's own."""
        full = experiment.config.searcher.max_time
        return (Bracket((full,), 0, concurrent(experiment)),)

    def passed(self, experiment: Experiment, trial: Trial, time: int) -> int:
        """One rung more each time that a trial reaches its target."""
        return trial.rung + (time >= trial.target)

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """Complete at the full length; before it, wait for the program."""
        full = experiment.config.searcher.max_time
        if trial.time >= full:
            return Complete(f"trained in full, {full}")
        return Pause(f"reached {trial.target}; its program says what comes next")

    def promotable(self, experiment: Experiment, bracket: int) -> list[tuple[str, int]]:
        """Those that wait and were extended, the earliest first."""
        waiting = (t for t in experiment.trials.values() if t.waits and t.target > t.time)
        return [(trial.trial_id, trial.target) for trial in waiting]

    def next_target(self, experiment: Experiment, trial: Trial) -> int:
        """As the program said last."""
        return trial.target or experiment.config.searcher.max_time

    def idle(self, experiment: Experiment) -> bool:
        """Only when the program said that it wants no more."""
        return bool(experiment.closing)
