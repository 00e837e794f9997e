"""What a search method is: it proposes configurations, and says how far each trial trains."""

from dataclasses import dataclass
from typing import Any, Protocol

from shoal_searcher.core import space
from shoal_searcher.core.state import Experiment, Trial


@dataclass(frozen=True, slots=True)
class Extend:
    """Train on, up to `target`."""

    target: int
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Give the slots back; may be promoted later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Dropped for good."""

    reason: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Trained in full."""

    reason: str


Verdict = Extend | Pause | Stop | Complete


class Method(Protocol):
    """One search method. All functions are pure; `experiment` is only read."""

    def total(self, experiment: Experiment) -> int:
        """How many trials it proposes in all."""
        ...

    def propose(self, experiment: Experiment, number: int) -> dict[str, Any]:
        """The configuration of trial `number`."""
        ...

    def targets(self, experiment: Experiment) -> list[int]:
        """Where results are judged, in units of the time metric; the last is the full length."""
        ...

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """What becomes of a trial whose result at `rung` has just been recorded.

        A target that it names is always greater than the trial's time."""
        ...

    def promotable(self, experiment: Experiment) -> list[tuple[str, int]]:
        """Paused trials that have earned more: (trial, target), the highest rung first."""
        ...

    def standing(self, experiment: Experiment, trial: Trial) -> str:
        """How the trial compares, for people: its rank in its rung, or how far it got."""
        ...


class FullLength:
    """What the methods share that train every trial in full: draws, and one place to judge."""

    def total(self, experiment: Experiment) -> int:
        """One."""
        return 1

    def propose(self, experiment: Experiment, number: int) -> dict[str, Any]:
        """A draw from the space, by the experiment's seed and the trial's number alone."""
        config = experiment.config
        return space.sample(config.hyperparameters, space.trial_seed(config.seed, number))

    def targets(self, experiment: Experiment) -> list[int]:
        """The full length alone."""
        return [experiment.config.searcher.max_time]

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """At the full length a trial is complete."""
        return Complete(f"trained in full, {experiment.config.searcher.max_time}")

    def promotable(self, experiment: Experiment) -> list[tuple[str, int]]:
        """None: these methods pause nobody."""
        return []

    def standing(self, experiment: Experiment, trial: Trial) -> str:
        """How far it got."""
        return f"measured up to {max(trial.time, 0)} of {experiment.config.searcher.max_time}"
