"""Ray Tune's ASHA with random proposals.

Li et al., https://arxiv.org/abs/1810.05934, in the stopping form: no trial is paused. Its rungs are
`divisor^i` from 1. Driven as `TuneController` does: add, result by result, complete.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.search.clock import Answer, Contender, Job
from benchmarks.search.settings import Settings
from benchmarks.search.table import Table, draw


@dataclass(frozen=True, slots=True)
class _Trial:
    """All that the scheduler reads of a trial."""

    trial_id: str


@dataclass
class RayAsha:
    """Ray Tune's scheduler decides; proposals are random."""

    table: Table
    settings: Settings
    scheduler: Any
    rng: np.random.Generator
    trials: list[_Trial] = field(default_factory=list)

    def next(self, now: float) -> Job | None:
        """A new trial, as long as there may be more."""
        number = len(self.trials)
        if number == self.settings.trials:
            return None
        self.trials.append(trial := _Trial(str(number)))
        self.scheduler.on_trial_add(None, trial)
        return Job(number, draw(self.table.space, self.rng))

    def report(self, trial: int, epoch: int, value: float, now: float) -> Answer:
        """What the scheduler says."""
        result = {"training_iteration": epoch, "accuracy": value}
        if self.scheduler.on_trial_result(None, self.trials[trial], result) != "STOP":
            return "go_on"
        self.scheduler.on_trial_complete(None, self.trials[trial], result)
        return "stop"


def asha(table: Table, settings: Settings) -> RayAsha:
    """Ray Tune's defaults, but for the divisor and the length."""
    from ray.tune.schedulers import AsyncHyperBandScheduler

    scheduler = AsyncHyperBandScheduler(
        time_attr="training_iteration",
        metric="accuracy",
        mode="max",
        max_t=table.max_time,
        grace_period=1,
        reduction_factor=settings.divisor,
        brackets=1,
    )
    return RayAsha(table, settings, scheduler, np.random.default_rng(settings.seed))


CONTENDERS: dict[str, Callable[[Table, Settings], Contender]] = {"Ray Tune ASHA": asha}
