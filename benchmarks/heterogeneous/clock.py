"""A virtual clock around the real scheduler core: jobs arrive, train, yield, go on, complete."""

import heapq
import itertools
from dataclasses import dataclass, field

from benchmarks.heterogeneous.traces import MODELS, Job
from shoal_contract.events import (
    AllocationGranted,
    AllocationReleasing,
    Checkpoint,
    Event,
    NodeJoined,
    RunExited,
    Slot,
    Task,
    TrialRequested,
    ValidationReported,
)
from shoal_contract.ids import run_id
from shoal_contract.resources import Resources
from shoal_contract.states import Outcome, StopReason
from shoal_decider import Message, Tick, Told
from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.pools import PoolConfig, Pools

SLOTS = 36
"""Of each model."""
PER_NODE = 4
ROUND = 360.0
"""Seconds between Ticks."""
START = 30.0
"""Seconds from a grant to the first step: what a checkpoint costs to load."""
LEAVE = 10.0
"""Seconds from the order to yield to the end of the run, with its checkpoint saved."""
REPORTS = (150.0, 300.0)
"""Seconds after its grant at which a run reports its step."""


@dataclass(slots=True)
class Running:
    """A job on slots."""

    grant: AllocationGranted
    model: str
    since: float


@dataclass(slots=True)
class Life:
    """What became of a job."""

    job: Job
    done: float = 0.0
    """Steps."""
    attempt: int = 0
    ended: float = 0.0
    started: float | None = None
    running: Running | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What the scheduler gets to see."""

    blind: bool = False
    """Whether reports are kept from it, so that all models look alike."""
    endless: bool = False
    """Whether reports do not tell how far a job is from its target."""
    told: bool = False
    """Whether it knows all speeds from the start."""
    free: bool = False
    """Whether starts and yields cost nothing."""


@dataclass(slots=True)
class Clock:
    """One run of one policy over one trace."""

    jobs: list[Job]
    config: PoolConfig
    view: View
    lives: dict[str, Life] = field(default_factory=dict)
    decisions: int = 0
    moves: int = 0

    def run(self) -> None:
        """Until all jobs have completed."""
        decider = SchedulerDecider(Pools(pools={"default": self.config}))
        state = decider.initial()
        if self.view.told:
            for job in self.jobs:
                name = f"{job.slots} train {job.kind}"
                state.speeds[name] = {m: s / job.slots for m, s in job.speeds.items()}
                state.strides[name] = 1.0
        start, leave = (0.0, 0.0) if self.view.free else (START, LEAVE)
        ties = itertools.count()
        agenda: list[tuple[float, int, str, str, int]] = []
        for job in self.jobs:
            self.lives[job.name] = Life(job)
            heapq.heappush(agenda, (job.arrival, next(ties), "arrive", job.name, 0))
        heapq.heappush(agenda, (ROUND, next(ties), "tick", "", 0))
        models: dict[str, str] = {}

        def tell(now: float, body: Told) -> None:
            nonlocal state
            self.decisions += 1
            events = decider.decide(state, Message(f"m{self.decisions}", now, body))
            for event in events:
                state = decider.evolve(state, event)
            for event in events:
                react(now, event)

        def react(now: float, event: Event) -> None:
            if isinstance(event, AllocationGranted):
                life = self.lives[event.experiment_id]
                model = models[event.placements[0].node_id]
                life.running = Running(event, model, now + start)
                life.started = now if life.started is None else life.started
                left = (life.job.steps - life.done) / life.job.speeds[model]
                at = now + start + max(0.0, left)
                heapq.heappush(agenda, (at, next(ties), "end", life.job.name, life.attempt))
                for after in () if self.view.blind else REPORTS:
                    entry = (now + after, next(ties), "report", life.job.name, life.attempt)
                    heapq.heappush(agenda, entry)
            elif isinstance(event, AllocationReleasing) and event.reason == StopReason.PREEMPTED:
                self.moves += 1
                life = self.lives[event.experiment_id]
                entry = (now + leave, next(ties), "yield", event.experiment_id, life.attempt)
                heapq.heappush(agenda, entry)

        for model in MODELS:
            for number in range(SLOTS // PER_NODE):
                models[f"{model}-{number}"] = model
                tell(0.0, _node(f"{model}-{number}", model))
        left = len(self.jobs)
        while left:
            now, _, what, name, attempt = heapq.heappop(agenda)
            if what == "tick":
                tell(now, Tick())
                heapq.heappush(agenda, (now + ROUND, next(ties), "tick", "", 0))
                continue
            life = self.lives[name]
            if what == "arrive":
                life.attempt += 1
                tell(now, _request(life))
                continue
            if life.running is None or life.attempt != attempt:
                continue
            run = life.running
            step = life.done + max(0.0, now - run.since) * life.job.speeds[run.model]
            if what == "report":
                tell(now, _report(life, run, now, step, self.view.endless))
                continue
            life.running = None
            life.done = step
            outcome = Outcome.COMPLETED if what == "end" else Outcome.PREEMPTED
            for rank, placement in enumerate(run.grant.placements):
                tell(now, _exit(run.grant, rank, placement.node_id, outcome))
            if what == "end":
                life.ended = now
                left -= 1
            else:
                heapq.heappush(agenda, (now, next(ties), "arrive", name, 0))


def _node(name: str, model: str) -> NodeJoined:
    return NodeJoined(
        node_id=name,
        incarnation="i1",
        pool="default",
        host=name,
        slots=[Slot(number=n, kind="cuda", model=model) for n in range(PER_NODE)],
        ports=list(range(29500, 29500 + 2 * PER_NODE)),
    )


def _request(life: Life) -> TrialRequested:
    job = life.job
    unable = [m for m in MODELS if m not in job.speeds]
    return TrialRequested(
        experiment_id=job.name,
        trial_id=job.name,
        attempt=life.attempt,
        task=Task(
            experiment_id=job.name,
            trial_id=job.name,
            attempt=life.attempt,
            entrypoint=["train", job.kind],
            bundle=None,
            hyperparameters={},
            seed=0,
            environment={},
            metric="loss",
            smaller_is_better=True,
            time_metric="step",
            target=int(job.steps),
            storage_url="file:///x",
            checkpoint=_saved(life),
        ),
        resources=Resources(
            slots_per_trial=job.slots,
            avoid_nodes=[f"{m}-{n}" for m in unable for n in range(SLOTS // PER_NODE)],
        ),
    )


def _saved(life: Life) -> Checkpoint | None:
    """What a job that yielded goes on from."""
    if life.attempt == 1:
        return None
    return Checkpoint(url="file:///x", step=int(life.done), attempt=life.attempt - 1)


def _report(life: Life, run: Running, now: float, step: float, endless: bool) -> ValidationReported:
    return ValidationReported(
        experiment_id=life.job.name,
        trial_id=life.job.name,
        allocation_id=run.grant.allocation_id,
        attempt=life.attempt,
        step=int(step),
        time=0 if endless else int(step),
        metrics={"loss": 1.0},
        at=now,
    )


def _exit(grant: AllocationGranted, rank: int, node_id: str, outcome: Outcome) -> RunExited:
    return RunExited(
        experiment_id=grant.experiment_id,
        run_id=run_id(grant.allocation_id, rank),
        allocation_id=grant.allocation_id,
        trial_id=grant.trial_id,
        node_id=node_id,
        outcome=outcome,
        reason="",
    )
