"""A virtual clock: workers that train from a table of recorded curves, in no time.

A worker takes a job, each epoch lasts what was recorded, and at its end the contender hears the
result and says what becomes of the trial. A paused trial goes on from where it was, at no cost.
"""

import heapq
import itertools
import math
import time
from dataclasses import dataclass, field
from typing import Literal, Protocol

from benchmarks.search.table import Config, Curve, Table

Answer = Literal["go_on", "stop", "pause"]


@dataclass(frozen=True, slots=True)
class Job:
    """Train a trial: from the start if its id is new, else from where it was paused."""

    trial: int
    hyperparameters: Config


class Contender(Protocol):
    """A search method with all its state."""

    def next(self, now: float) -> Job | None:
        """What a free worker shall do; None: nothing, ask again after the next report."""
        ...

    def report(self, trial: int, epoch: int, value: float, now: float) -> Answer:
        """Hear the result after `epoch` (from 1). After the last epoch the trial ends anyway."""
        ...


@dataclass(slots=True)
class Outcome:
    """What one run measured. A unit is one epoch of one worker; seconds are virtual unless said."""

    units_to_target: int | None = None
    seconds_to_target: float | None = None
    area: float = 0.0
    """Mean distance of the best result so far from the best of all, up to the horizon."""
    units: int = 0
    trials: int = 0
    full: int = 0
    """Trials that were trained in full."""
    resumed: int = 0
    decisions: int = 0
    """Suggestions made and reports heard."""
    cpu: float = 0.0
    """Seconds of processor time inside the contender."""
    best: list[tuple[int, float, float]] = field(default_factory=list)
    """Each time a better result came: units, seconds, result."""


class Clock:
    """One run of one contender."""

    def __init__(self, table: Table, contender: Contender, workers: int) -> None:
        self._table = table
        self._contender = contender
        self._idle = workers
        self._running: list[tuple[float, int, int, Curve]] = []
        self._tie = itertools.count()
        self._done: dict[int, int] = {}
        self.outcome = Outcome()

    def run(self, horizon: float, limit: float, patience: float = math.inf) -> Outcome:
        """Until the target is reached and the horizon passed, nothing is left, the limit, or the
        contender has thought for `patience` seconds of processor time."""
        out, top = self.outcome, 0.0
        self._staff(0.0)
        while self._running:
            now, _, trial, curve = heapq.heappop(self._running)
            if now > (limit if out.units_to_target is None else horizon) or out.cpu > patience:
                break
            self._done[trial] = epoch = self._done[trial] + 1
            value = curve.metric[epoch - 1]
            out.units += 1
            if value > top:
                top = value
                out.best.append((out.units, now, value))
            if out.units_to_target is None and value >= self._table.target:
                out.units_to_target, out.seconds_to_target = out.units, now
            began = time.process_time()
            answer = self._contender.report(trial, epoch, value, now)
            out.cpu += time.process_time() - began
            out.decisions += 1
            last = epoch == self._table.max_time
            out.full += last
            if answer == "go_on" and not last:
                self._train(trial, curve, now)
            else:
                self._idle += 1
            self._staff(now)
        out.area = self._area(horizon)
        return out

    def _staff(self, now: float) -> None:
        """Ask for work for each idle worker."""
        while self._idle:
            began = time.process_time()
            job = self._contender.next(now)
            self.outcome.cpu += time.process_time() - began
            if job is None:
                return
            self.outcome.decisions += 1
            self._idle -= 1
            self.outcome.trials += job.trial not in self._done
            self.outcome.resumed += job.trial in self._done
            self._done.setdefault(job.trial, 0)
            self._train(job.trial, self._table.row(job.hyperparameters), now)

    def _train(self, trial: int, curve: Curve, now: float) -> None:
        end = now + curve.seconds[self._done[trial]]
        heapq.heappush(self._running, (end, next(self._tie), trial, curve))

    def _area(self, horizon: float) -> float:
        area, since, top = 0.0, 0.0, 0.0
        for _, now, value in [*self.outcome.best, (0, horizon, 0.0)]:
            until = min(now, horizon)
            area += max(0.0, self._table.best - top) * (until - since)
            since, top = until, value
        return area / horizon
