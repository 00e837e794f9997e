"""The real searcher over recorded learning curves, in virtual time.

Slots are alike; starting, pausing and going on cost nothing; a decision takes no time.
"""

import heapq
import math
import time
from collections import deque
from dataclasses import dataclass, field

from pydantic import BaseModel

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import (
    AllocationEnded,
    Checkpoint,
    CheckpointSaved,
    Event,
    ExperimentSubmitted,
    SearchCancelled,
    SearchCompleted,
    SearchFailed,
    Task,
    TrialExtended,
    TrialRequested,
    ValidationReported,
)
from shoal_contract.ids import allocation_id
from shoal_contract.searchers import Sampled, Searcher
from shoal_contract.states import Outcome
from shoal_decider import Message, Runner
from shoal_searcher.core.decider import SearcherDecider
from shoal_searcher.core.state import State
from shoal_searcher.shell.samplers import answer
from shoal_searcher.shell.sampling import asks
from shoal_simulator.curves import Curve, Curves, CurvesError

ID = "search"
OVER = ("trial.paused", "trial.stopped", "trial.completed", "trial.cancelled", "trial.failed")


@dataclass(slots=True)
class Point:
    """After one unit of training somewhere."""

    seconds: float
    """Virtual."""
    units: int
    """Trained so far, all trials together."""
    best: float
    """The best result so far."""


@dataclass(slots=True)
class Result:
    """One simulated search."""

    points: list[Point]
    """Each time that the best result got better, and the end."""
    trials: int
    decisions: int
    deciding: float
    """Real seconds that all decisions took, a sampler's proposals included."""

    def reached(self, target: float, smaller_is_better: bool) -> Point | None:
        """When a result was at least as good as `target` for the first time; None: never."""
        for point in self.points:
            if point.best <= target if smaller_is_better else point.best >= target:
                return point
        return None


@dataclass(slots=True)
class _Run:
    """One attempt of a trial on a slot."""

    task: Task
    curve: Curve
    target: int
    time: int = 0


@dataclass(slots=True)
class _World:
    config: ExperimentConfig
    curves: Curves
    workers: int
    now: float = 0.0
    units: int = 0
    best: float | None = None
    points: list[Point] = field(default_factory=list)
    queue: deque[Task] = field(default_factory=deque)
    runs: dict[str, _Run] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    heap: list[tuple[float, int, str]] = field(default_factory=list)
    runner: Runner[State] = field(default_factory=lambda: Runner.of(SearcherDecider()))
    leaving: list[str] = field(default_factory=list)
    decisions: int = 0
    deciding: float = 0.0
    trials: int = 0
    over: bool = False
    _count: int = 0

    def tell(self, body: BaseModel) -> None:
        """Tell the searcher, follow what it decides, and answer for its sampler."""
        began = time.perf_counter()
        told = self._decide(body)
        experiment = self.runner.state.experiments.get(ID)
        while experiment is not None and (question := asks(experiment)) is not None:
            told += self._decide(question.reply(answer(question)))
            experiment = self.runner.state.experiments.get(ID)
        self.deciding += time.perf_counter() - began
        for event in told:
            match event:
                case TrialRequested():
                    self.queue.append(event.task)
                case TrialExtended() if event.trial_id in self.runs:
                    self.runs[event.trial_id].target = event.target
                case SearchFailed() if not self.units:
                    raise CurvesError(f"the search fails before it begins: {event.reason}")
                case SearchCompleted() | SearchFailed() | SearchCancelled():
                    self.over, self.trials = True, event.trials
                case _ if event.type in OVER:
                    self.leaving.append(event.trial_id)  # type: ignore[attr-defined]

    def _decide(self, body: BaseModel) -> list[Event]:
        self._count += 1
        self.decisions += 1
        return list(self.runner.tell(Message(f"m{self._count}", self.now, body)))

    def settle(self) -> None:
        """Take those off their slots that are to leave, and start those that wait."""
        while self.leaving or (self.queue and len(self.runs) < self.workers):
            if self.leaving:
                self._leave(self.leaving.pop(0))
                continue
            task = self.queue.popleft()
            run = _Run(task, self.curves.find(task.hyperparameters), task.target)
            run.time = self.trained.get(task.trial_id, 0)
            self.runs[task.trial_id] = run
            self._next(task.trial_id)

    def _leave(self, trial_id: str) -> None:
        run = self.runs.pop(trial_id, None)
        tasks = [run.task] if run else [t for t in self.queue if t.trial_id == trial_id]
        if not tasks:
            return  # it has left already
        task = tasks[0]
        if run is None:
            self.queue.remove(task)
        ids = {"experiment_id": ID, "trial_id": trial_id}
        allocation = allocation_id(trial_id, task.attempt)
        if run is not None:
            saved = Checkpoint(url=f"memory://{trial_id}", step=run.time, attempt=task.attempt)
            self.tell(CheckpointSaved(**ids, allocation_id=allocation, checkpoint=saved))
        self.tell(
            AllocationEnded(
                **ids, allocation_id=allocation, attempt=task.attempt, outcome=Outcome.STOPPED,
                reason="", slots=1, seconds=0.0,
            )
        )  # fmt: skip

    def _next(self, trial_id: str) -> None:
        run = self.runs[trial_id]
        self._count += 1
        heapq.heappush(self.heap, (self.now + run.curve.seconds[run.time], self._count, trial_id))

    def step(self) -> None:
        """The next unit of training to end, and what follows."""
        self.now, _, trial_id = heapq.heappop(self.heap)
        run = self.runs.get(trial_id)
        if run is None:
            return  # it was stopped meanwhile
        run.time += 1
        self.trained[trial_id] = run.time
        self.units += 1
        metrics = {name: curve[run.time - 1] for name, curve in run.curve.metrics.items()}
        self._note(metrics[self.config.searcher.metric])
        self.tell(
            ValidationReported(
                experiment_id=ID,
                trial_id=trial_id,
                allocation_id=allocation_id(trial_id, run.task.attempt),
                attempt=run.task.attempt,
                step=run.time,
                time=run.time,
                metrics=metrics,
                at=self.now,
            )
        )
        self.settle()
        if trial_id in self.runs and run is self.runs[trial_id] and run.time < run.target:
            self._next(trial_id)

    def _note(self, value: float) -> None:
        smaller = self.config.searcher.smaller_is_better
        if not math.isfinite(value):
            return
        if self.best is None or (value < self.best if smaller else value > self.best):
            self.best = value
            self.points.append(Point(self.now, self.units, value))


def _beyond(searcher: Searcher) -> str | None:
    """Why recorded curves cannot serve a search, whatever is in them; None: they can."""
    if searcher.name == "pbt":
        return (
            "pbt cannot be simulated: its copies train on with other hyperparameters, and a curve"
            " is recorded with one configuration from beginning to end"
        )
    if searcher.name == "custom":
        return "custom cannot be simulated: your program decides, and it does not run here"
    if isinstance(searcher, Sampled) and searcher.warm_start:
        return (
            "a search with warm_start cannot be simulated: the earlier results are in the"
            " platform's streams, which are not read here"
        )
    if searcher.source_trial_id is not None:
        return (
            "a search with source_trial_id cannot be simulated: curves are recorded from fresh"
            " weights, and say nothing about training that goes on from others"
        )
    return None


def simulate(
    config: ExperimentConfig,
    curves: Curves,
    *,
    workers: int,
    seed: int = 0,
    until: float | None = None,
) -> Result:
    """Search with `config` on `workers` slots, as if `seed` were its seed.

    Ends with the search, or as soon as a result is at least as good as `until`. Raises CurvesError
    if the curves cannot serve the search.
    """
    searcher = config.searcher
    if searcher.max_time > curves.max_time:
        raise CurvesError(f"max_time is {searcher.max_time}; the curves end at {curves.max_time}")
    if (why := _beyond(searcher)) is not None:
        raise CurvesError(why)
    for metric, _ in searcher.directions:
        curves.best(metric, True)
    world = _World(config.model_copy(update={"seed": seed}), curves, workers)
    world.tell(ExperimentSubmitted(experiment_id=ID, config=world.config, storage_url="memory://"))
    world.settle()
    while world.heap and not world.over:
        world.step()
        if until is not None and world.best is not None:
            smaller = searcher.smaller_is_better
            if world.best <= until if smaller else world.best >= until:
                break
    last = world.best if world.best is not None else float("nan")
    world.points.append(Point(world.now, world.units, last))
    experiment = world.runner.state.experiments.get(ID)
    trials = len(experiment.trials) if experiment is not None else world.trials
    return Result(world.points, trials, world.decisions, world.deciding)
