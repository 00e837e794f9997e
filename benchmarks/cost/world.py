"""A virtual clock around the real provisioner: its decider, a simulated cloud, and trials that need
one slot each. The bill is summed from the decider's own events."""

import heapq
import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from shoal_contract.events import (
    AllocationGranted,
    AllocationProgressed,
    Checkpoint,
    CheckpointSaved,
    DemandChanged,
    Event,
    InstanceRequested,
    InstanceStopping,
    NodeAdmitted,
    NodeBusy,
    NodeIdle,
    NodeRemoved,
    Placement,
    Rendezvous,
    RunSettled,
    SearchAccepted,
    Slot,
    Task,
    TrialCheckpointed,
    TrialCompleted,
    TrialInterrupted,
    TrialMeasured,
    TrialRequested,
    TrialStarted,
    Want,
)
from shoal_contract.events.instance import InstanceMetered, InstancePreempted, WorkLost
from shoal_contract.parse import parse_experiment
from shoal_contract.resources import Resources
from shoal_contract.states import Outcome
from shoal_decider import Message, Runner, Tick
from shoal_provisioner.core.decider import ProvisionerDecider
from shoal_provisioner.core.messages import (
    MachineFailed,
    MachineGone,
    MachinePreempted,
    MachineStarted,
)
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.prices import Prices
from shoal_provisioner.core.state import State
from shoal_provisioner.shell.drivers.base import Order
from shoal_provisioner.shell.drivers.simulated import Cloud

ANSWER, START, LEAVE = 5.0, 180.0, 10.0
"""Seconds: until a cloud answers; until a machine's worker has joined, then; until a worker that is
told to leave has checkpointed and gone."""
TICK = 15.0
BEGIN = 1_700_000_000.0 // 86400 * 86400
"""Unix time at which a simulation begins: a midnight."""


@dataclass(slots=True)
class Trial:
    """Work of `total` seconds, at one unit a second. Its name is `e-<number>`."""

    name: str
    total: float
    safe: float = 0.0
    """Seconds of it that a checkpoint holds."""
    attempt: int = 0
    machine: str | None = None
    since: float = 0.0
    finished: float | None = None

    @property
    def allocation(self) -> str:
        """Its current attempt's id."""
        return f"{self.name}-a{self.attempt}"


@dataclass(slots=True)
class Bill:
    """What it came to."""

    cost: float = 0.0
    paid: float = 0.0
    """Machine-seconds."""
    uses: dict[str, float] = field(default_factory=dict)
    """Machine-seconds by use."""
    lost: float = 0.0
    """Seconds of work that had to be done again."""
    preemptions: int = 0
    finish: float = 0.0
    """Seconds until the last trial was done."""
    useful: float = 0.0
    done: bool = True
    on_demand: float = 0.0
    """Machine-seconds on demand."""


@dataclass(slots=True)
class World:
    """One simulation. `checkpoints` False: a trial that loses its machine starts over."""

    pool: Pool
    prices: Prices
    cloud: Cloud
    trials: Sequence[Trial]
    period: float = 300.0
    """Seconds between checkpoints."""
    checkpoints: bool = True
    deadline: float | None = None
    limit: float = 20 * 86400.0
    """Seconds after which it is given up."""
    now: float = 0.0
    bill: Bill = field(default_factory=Bill)
    _spot: dict[str, bool] = field(default_factory=dict)
    _idle: list[str] = field(default_factory=list)
    _on: dict[str, Trial] = field(default_factory=dict)
    _queue: list[Trial] = field(default_factory=list)
    _heap: list[tuple[float, int, str, Any]] = field(default_factory=list)
    _count: Iterator[int] = field(default_factory=itertools.count)
    _demand: int = -1
    _runner: Runner[State] = field(init=False)

    def run(self) -> Bill:
        """From the first trial's waiting to the last machine's end."""
        decider = ProvisionerDecider([self.pool], self.prices)
        self._runner = Runner.of(decider)
        self._queue = list(self.trials)
        self._submit()
        self._settle()
        self._at(TICK, "tick", None)
        while self._heap and self.now < self.limit:
            self.now, _, what, about = heapq.heappop(self._heap)
            getattr(self, f"_{what}")(about)
            self._settle()
            if not self._runner.state.instances and all(t.finished for t in self.trials):
                break
        self.bill.done = all(trial.finished is not None for trial in self.trials)
        self.bill.finish = max(trial.finished or self.now for trial in self.trials)
        self.bill.useful = sum(t.total for t in self.trials if t.finished is not None)
        return self.bill

    def _at(self, after: float, what: str, about: Any) -> None:
        heapq.heappush(self._heap, (self.now + after, next(self._count), what, about))

    def _tell(self, body: BaseModel) -> None:
        message = Message(f"m{next(self._count)}", BEGIN + self.now, body)
        for event in self._runner.tell(message):
            self._follow(event)

    def _follow(self, event: Event) -> None:
        match event:
            case InstanceRequested():
                order = Order(event.pool, event.instance_id, 1, event.kind, event.zone, event.spot)
                self._at(ANSWER, "answer", order)
            case InstanceStopping():
                self._at(LEAVE, "leave", event.instance_id)
            case InstanceMetered():
                seconds = event.at - event.since
                self.bill.cost += event.cost
                self.bill.paid += seconds
                self.bill.uses[event.use] = self.bill.uses.get(event.use, 0.0) + seconds
                if not self._spot.get(event.instance_id, False):
                    self.bill.on_demand += seconds
            case WorkLost():
                self.bill.lost += event.seconds
            case InstancePreempted():
                self.bill.preemptions += 1
            case _:
                pass

    # What happens

    def _tick(self, _about: None) -> None:
        for name in self.cloud.take_back(self.now):
            self._tell(MachinePreempted(pool="", instance_id=name, source="pubsub"))
            self._lose(name)
            self._tell(MachineGone(pool="", instance_id=name, reason="it was taken back"))
        self._tell(Tick())
        self._at(TICK, "tick", None)

    def _answer(self, order: Order) -> None:
        error = self.cloud.start(order, self.now)
        ids = {"pool": order.pool, "instance_id": order.instance_id}
        if error is not None:
            self._tell(MachineFailed(**ids, reason=str(error), cause=error.cause))
            return
        self._spot[order.instance_id] = order.spot
        self._tell(MachineStarted(**ids))
        self._at(START, "join", order.instance_id)

    def _join(self, name: str) -> None:
        if name not in self.cloud.up:
            return
        slot = Slot(number=0, kind="cuda", model="V100")
        self._tell(
            NodeAdmitted(
                node_id=name, incarnation="i", pool=self.pool.name, host="h", slots=[slot],
                ports=[], instance_id=name,
            )
        )  # fmt: skip
        self._idle.append(name)

    def _leave(self, name: str) -> None:
        """A worker that was told to leave has checkpointed, and its machine ends."""
        if name not in self.cloud.up:
            return
        trial = self._on.get(name)
        if trial is not None:
            trial.safe += self.now - trial.since
            trial.since = self.now
            self._saved(trial)
            self._free(trial, Outcome.PREEMPTED)
        self.cloud.stop(name)
        self._gone(name)
        self._tell(MachineGone(pool="", instance_id=name, reason="it was stopped"))

    def _save(self, about: tuple[Trial, int]) -> None:
        trial, attempt = about
        if trial.attempt != attempt or trial.machine is None:
            return
        trial.safe, trial.since = trial.safe + self.now - trial.since, self.now
        self._saved(trial)
        self._next(trial)

    def _finish(self, about: tuple[Trial, int]) -> None:
        trial, attempt = about
        if trial.attempt != attempt or trial.machine is None:
            return
        trial.safe, trial.finished = trial.total, self.now
        name = trial.machine
        self._of(trial, TrialCompleted, reason="trained in full")
        self._free(trial, Outcome.COMPLETED)
        self._idle.append(name)
        self._tell(NodeIdle(node_id=name, instance_id=name))

    def _lose(self, name: str) -> None:
        trial = self._on.get(name)
        if trial is not None:
            if not self.checkpoints:
                trial.safe = 0.0
            self._free(trial, Outcome.LOST)
        self._gone(name)

    # What follows

    def _saved(self, trial: Trial) -> None:
        if self.checkpoints:
            self._tell(
                CheckpointSaved(
                    experiment_id="e", trial_id=trial.name, allocation_id=trial.allocation,
                    checkpoint=self._checkpoint(trial),
                )
            )  # fmt: skip
        self._of(trial, TrialMeasured, step=round(trial.safe), time=round(trial.safe), metric=0.0)
        self._of(trial, TrialCheckpointed, checkpoint=self._checkpoint(trial))
        if self.deadline is not None:
            paced = AllocationProgressed(
                experiment_id="e", allocation_id=trial.allocation, at=BEGIN + self.now, pace=1.0
            )
            self._tell(paced)

    def _submit(self) -> None:
        """Tell of the experiment and its trials as a searcher does, if there is a deadline."""
        if self.deadline is None:
            return
        longest = round(max(trial.total for trial in self.trials))
        searcher = {"name": "random", "metric": "loss", "max_time": longest,
                    "max_trials": len(self.trials), "max_concurrent_trials": 0}  # fmt: skip
        config = {"name": "sweep", "entrypoint": "x", "searcher": searcher,
                  "resources": {"resource_pool": self.pool.name},
                  "deadline": f"{self.deadline:.0f}s"}  # fmt: skip
        accepted = SearchAccepted(
            experiment_id="e", config=parse_experiment(config), bundle=None,
            storage_url="memory://", at=BEGIN, units=longest * len(self.trials),
        )  # fmt: skip
        self._tell(accepted)
        for trial in self.trials:
            self._request(trial)

    def _request(self, trial: Trial) -> None:
        attempt = trial.attempt + 1
        task = Task(
            experiment_id="e", trial_id=trial.name, attempt=attempt, entrypoint=["x"], bundle=None,
            hyperparameters={}, seed=0, environment={}, metric="loss", smaller_is_better=True,
            time_metric="step", target=round(trial.total), storage_url="memory://",
            checkpoint=self._checkpoint(trial),
        )  # fmt: skip
        resources = Resources(resource_pool=self.pool.name)
        self._of(trial, TrialRequested, attempt=attempt, task=task, resources=resources)

    def _of(self, trial: Trial, kind: type[Event], **fields: Any) -> None:
        """What the searcher says of a trial, for those who care for deadlines."""
        if self.deadline is not None:
            self._tell(kind(experiment_id="e", trial_id=trial.name, **fields))

    def _checkpoint(self, trial: Trial) -> Checkpoint:
        return Checkpoint(url="memory://", step=round(trial.safe), attempt=max(1, trial.attempt))

    def _free(self, trial: Trial, outcome: Outcome) -> None:
        name, trial.machine = trial.machine or "", None
        del self._on[name]
        self._tell(
            RunSettled(
                experiment_id="e", allocation_id=trial.allocation, run_id=f"{trial.allocation}-r0",
                node_id=name, outcome=outcome, reason="",
            )
        )  # fmt: skip
        if trial.finished is None:
            self._queue.append(trial)
            self._of(trial, TrialInterrupted, attempt=trial.attempt, outcome=outcome, reason="")
            self._request(trial)

    def _gone(self, name: str) -> None:
        if name in self._idle:
            self._idle.remove(name)
        self._tell(NodeRemoved(node_id=name, incarnation="i", instance_id=name, reason="gone"))

    def _next(self, trial: Trial) -> None:
        left = trial.total - trial.safe
        if left <= self.period:
            self._at(left, "finish", (trial, trial.attempt))
        else:
            self._at(self.period, "save", (trial, trial.attempt))

    def _settle(self) -> None:
        """Give idle machines to waiting trials, on-demand ones to those that are furthest behind;
        then say what is missing."""
        instances = self._runner.state.instances
        ready = [n for n in self._idle if n in instances and instances[n].counts]
        for name in sorted(ready, key=lambda n: self._spot[n]):
            if not self._queue:
                break
            trial = min(self._queue, key=lambda t: t.safe)
            self._queue.remove(trial)
            self._idle.remove(name)
            trial.attempt, trial.machine, trial.since = trial.attempt + 1, name, self.now
            self._on[name] = trial
            self._tell(NodeBusy(node_id=name, instance_id=name))
            self._tell(
                AllocationGranted(
                    experiment_id="e", allocation_id=trial.allocation, trial_id=trial.name,
                    attempt=trial.attempt, at=BEGIN + self.now,
                    placements=[Placement(node_id=name, incarnation="i", slots=[0])],
                    rendezvous=Rendezvous(host="h", port=1),
                )
            )  # fmt: skip
            started = {"attempt": trial.attempt, "slots": 1, "at": BEGIN + self.now}
            self._of(trial, TrialStarted, **started)
            self._next(trial)
        if len(self._queue) != self._demand:
            self._demand = len(self._queue)
            wants = [Want(slots=1, count=self._demand)] if self._demand else []
            self._tell(DemandChanged(pool=self.pool.name, wants=wants))


def scattered(name: str) -> int:
    """A place for a machine that says nothing of its age, the same in every run."""
    return zlib.crc32(name.encode())
