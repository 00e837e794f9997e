"""What a search method is: it proposes configurations, and says how far each trial trains."""

from dataclasses import dataclass
from typing import Any, Protocol

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
        """What becomes of a trial whose result at `rung` has just been recorded."""
        ...

    def promotable(self, experiment: Experiment) -> list[tuple[str, int]]:
        """Paused trials that have earned more: (trial, target), the highest rung first."""
        ...
