"""A cluster and a queue for the scheduler's core, and its messages, all made up alike each time."""

import time
from collections import deque
from dataclasses import dataclass, field

from shoal_contract.events import (
    AllocationGranted,
    AllocationReleasing,
    Event,
    NodeJoined,
    RunExited,
    Slot,
    Task,
    TrialRequested,
)
from shoal_contract.ids import run_id
from shoal_contract.resources import Resources
from shoal_contract.states import Outcome
from shoal_decider import Message, Tick, Told, settle
from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.pools import PoolConfig, Pools
from shoal_scheduler.core.state import State

SLOTS_PER_NODE = 8
TRIALS_PER_EXPERIMENT = 100


@dataclass(slots=True)
class Load:
    """A scheduler under load, and what each of its decisions cost (decide and evolve together)."""

    policy: str
    decider: SchedulerDecider = field(init=False)
    state: State = field(init=False)
    seconds: list[float] = field(default_factory=list)
    granted: deque[AllocationGranted] = field(default_factory=deque)
    now: float = 1_000_000.0
    clocked: bool = True
    """Whether each decision's time is noted. A look at the clock is no small part of one."""
    _told: int = 0

    def __post_init__(self) -> None:
        config = PoolConfig(policy=self.policy)
        self.decider = SchedulerDecider(Pools(pools={"default": config}))
        self.state = self.decider.initial()

    def tell(self, body: Told) -> list[Event]:
        """One message: decide, evolve, and note the processor time it took."""
        self._told += 1
        self.now += 0.01
        message = Message(f"m{self._told}", self.now, body)
        began = time.thread_time() if self.clocked else 0.0
        events = self.decider.decide(self.state, message)
        self.state = settle(self.decider, self.state, events)
        if self.clocked:
            self.seconds.append(time.thread_time() - began)
        self.granted.extend(e for e in events if isinstance(e, AllocationGranted))
        return list(events)

    def join(self, nodes: int) -> None:
        """So many nodes join."""
        for number in range(nodes):
            slots = [Slot(number=n, kind="cuda", model="V100") for n in range(SLOTS_PER_NODE)]
            name = f"n{number}"
            ports = list(range(29500, 29500 + 2 * SLOTS_PER_NODE))
            self.tell(
                NodeJoined(
                    node_id=name,
                    incarnation="i1",
                    pool="default",
                    host=name,
                    slots=slots,
                    ports=ports,
                )
            )

    def request(self, first: int, count: int) -> None:
        """So many trials ask for slots: eight in nine for one, the ninth for four."""
        for number in range(first, first + count):
            experiment = f"e{number // TRIALS_PER_EXPERIMENT}"
            trial = f"{experiment}-{number}"
            self.tell(
                TrialRequested(
                    experiment_id=experiment,
                    trial_id=trial,
                    attempt=1,
                    task=_task(experiment, trial),
                    resources=Resources(
                        slots_per_trial=4 if number % 9 == 8 else 1, priority=1 + number % 7
                    ),
                )
            )

    def end_one(self) -> None:
        """The gang that was granted first completes."""
        self._end(self.granted.popleft(), Outcome.COMPLETED)

    def tick(self) -> None:
        """A second passes; who is told to leave does, unclocked."""
        self.now += 1.0
        events = self.tell(Tick())
        told = {e.allocation_id: None for e in events if isinstance(e, AllocationReleasing)}
        leaving = [grant for grant in self.granted if grant.allocation_id in told]
        self.granted = deque(g for g in self.granted if g.allocation_id not in told)
        self.clocked = False
        for grant in leaving:
            self._end(grant, Outcome.PREEMPTED)
        self.clocked = True

    def _end(self, grant: AllocationGranted, outcome: Outcome) -> None:
        for rank, placement in enumerate(grant.placements):
            self.tell(
                RunExited(
                    experiment_id=grant.experiment_id,
                    run_id=run_id(grant.allocation_id, rank),
                    allocation_id=grant.allocation_id,
                    trial_id=grant.trial_id,
                    node_id=placement.node_id,
                    outcome=outcome,
                    reason="done",
                )
            )


def _task(experiment: str, trial: str) -> Task:
    return Task(
        experiment_id=experiment,
        trial_id=trial,
        attempt=1,
        entrypoint=["python", "train.py"],
        bundle=None,
        hyperparameters={"lr": 0.1, "width": 64},
        seed=0,
        environment={},
        metric="loss",
        smaller_is_better=True,
        time_metric="step",
        target=1000,
        storage_url="gs://bucket/x",
        checkpoint=None,
    )
