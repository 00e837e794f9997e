"""What a search method is: it says which brackets there are, and how far each trial trains."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shoal_contract.searchers import Halving, Many, RandomSearcher
from shoal_searcher.core import propose
from shoal_searcher.core.propose import Proposal
from shoal_searcher.core.ranking import rank
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
class Replace:
    """Dropped for good, and another trial takes its place."""

    by: Proposal
    reason: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Trained in full."""

    reason: str


Promotions = Iterable[tuple[str, int | Proposal]]
Verdict = Extend | Pause | Stop | Replace | Complete


@dataclass(frozen=True, slots=True)
class Bracket:
    """Trials that compete with one another."""

    targets: tuple[int, ...]
    """Where results are judged, in units of the time metric; the last is the full length."""
    max_trials: int
    max_concurrent: int
    """How many of it are in the air at once, as long as other brackets have work too."""


class Method(Protocol):
    """One search method. All functions are pure; `experiment` is only read."""

    def brackets(self, experiment: Experiment) -> Sequence[Bracket]:
        """The brackets, the one that stops earliest first."""
        ...

    def propose(self, experiment: Experiment, number: int) -> Proposal:
        """The configuration of trial `number`."""
        ...

    def passed(self, experiment: Experiment, trial: Trial, time: int) -> int:
        """The highest rung that a result at `time` passes, from 0; -1: none."""
        ...

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """What becomes of a trial whose result at `rung` has just been recorded.

        A target that it names is always greater than the trial's time."""
        ...

    def promotable(self, experiment: Experiment, bracket: int) -> Promotions:
        """Paused trials that have earned more, the first one first: each with its next target, or
        with the proposal that is to take its place."""
        ...

    def next_target(self, experiment: Experiment, trial: Trial) -> int:
        """Where the trial's next result is judged."""
        ...

    def replacement(self, experiment: Experiment, trial: Trial) -> Proposal | None:
        """Who takes the place of a trial that failed for good, beside new trials; mostly nobody."""
        ...

    def idle(self, experiment: Experiment) -> bool:
        """Whether the search is over when nothing is under way, promotable or left to propose."""
        ...

    def standing(self, experiment: Experiment, trial: Trial) -> str:
        """How the trial compares, for people: its rank in its rung, or how far it got."""
        ...


def concurrent(experiment: Experiment) -> int:
    """How many trials may be in the air at once, in the whole experiment."""
    changed, searcher = experiment.max_concurrent_trials, experiment.config.searcher
    asked = searcher.max_concurrent_trials if isinstance(searcher, Many) else 1
    return (asked if changed is None else changed) or sys.maxsize


class FullLength:
    """One bracket, and one place to judge: every trial trains in full. The base of all."""

    def total(self, experiment: Experiment) -> int:
        """How many trials there are: `max_trials`, which a person may have changed; else one."""
        searcher = experiment.config.searcher
        asked = searcher.max_trials if isinstance(searcher, RandomSearcher | Halving) else 1
        return experiment.max_trials or asked

    def brackets(self, experiment: Experiment) -> Sequence[Bracket]:
        """One, judged at the full length alone."""
        full = experiment.config.searcher.max_time
        return (Bracket((full,), self.total(experiment), concurrent(experiment)),)

    def targets(self, experiment: Experiment, trial: Trial) -> tuple[int, ...]:
        """Where the trial's results are judged."""
        return self.brackets(experiment)[trial.bracket].targets

    def propose(self, experiment: Experiment, number: int) -> Proposal:
        """What is listed, what the sampler has ready, or a draw."""
        return propose.propose(experiment, number)

    def passed(self, experiment: Experiment, trial: Trial, time: int) -> int:
        """The last of the bracket's targets that `time` reaches."""
        return sum(time >= target for target in self.targets(experiment, trial)) - 1

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """At the full length a trial is complete."""
        return Complete(f"trained in full, {experiment.config.searcher.max_time}")

    def promotable(self, experiment: Experiment, bracket: int) -> Promotions:
        """None: these methods pause nobody."""
        return []

    def next_target(self, experiment: Experiment, trial: Trial) -> int:
        """The first of the bracket's targets after its last result and the rung that it passed."""
        targets = self.targets(experiment, trial)
        after = max(trial.time, targets[trial.rung] if trial.rung >= 0 else 0)
        return next((t for t in targets if t > after), targets[-1])

    def replacement(self, experiment: Experiment, trial: Trial) -> Proposal | None:
        """Nobody."""
        return None

    def idle(self, experiment: Experiment) -> bool:
        """Yes."""
        return True

    def standing(self, experiment: Experiment, trial: Trial) -> str:
        """How far it got."""
        return f"measured up to {max(trial.time, 0)} of {experiment.config.searcher.max_time}"


class Rungs(FullLength):
    """The base of methods that compare trials at rungs."""

    def standing(self, experiment: Experiment, trial: Trial) -> str:
        """Its rank in its rung, and how many of that rung go on."""
        targets = self.targets(experiment, trial)
        if trial.rung < 0:
            return f"measured up to {max(trial.time, 0)}, before the first rung"
        rung = experiment.rung(trial.bracket, trial.rung)
        if trial.number not in rung.costs:
            return f"went on at rung {trial.rung} (at {targets[trial.rung]}), not measured since"
        place = (
            f"rank {rank(rung, trial.number)} of {len(rung.costs)} in rung {trial.rung}"
            f" (at {targets[trial.rung]})"
        )
        if trial.rung == len(targets) - 1:
            return place
        return f"{place}, of which the best {self.keep(experiment, trial)} go on"

    def keep(self, experiment: Experiment, trial: Trial) -> int:
        """How many of the trial's rung go on."""
        raise NotImplementedError
