"""The things that the scheduler knows of: nodes, allocations, and what people changed."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import TypeVar

from shoal_contract.events import Placement, Rendezvous, Slot, Task, Waiting
from shoal_contract.resources import Resources
from shoal_contract.states import AllocationState, NodeState, Outcome, StopReason
from shoal_scheduler.core.months import seconds_in
from shoal_scheduler.core.placement import suits

T = TypeVar("T", "Node", "Run", "Allocation")


def _twin(thing: T) -> T:
    """One with the same fields: as `dataclasses.replace`, in less than half the time."""
    twin = object.__new__(type(thing))
    for name in thing.__slots__:
        setattr(twin, name, getattr(thing, name))
    return twin


@dataclass(slots=True, kw_only=True)
class Node:
    """A machine with slots."""

    node_id: str
    incarnation: str
    pool: str
    host: str
    slots: list[Slot]
    ports: list[int]
    instance_id: str | None
    labels: dict[str, str] = field(default_factory=dict)
    number: int = 0
    """Nodes count up as they join."""
    state: NodeState = NodeState.READY
    held: dict[int, str] = field(default_factory=dict)
    """Slot number to the allocation that holds it."""
    port_uses: int = 0
    """How many rendezvous it has served: ports are taken in turn."""
    strikes: dict[int, list[str]] = field(default_factory=dict)
    """Slot number to whose runs failed on it since one completed: experiments whose script ended
    with an error, trials that the platform failed."""
    aside: dict[int, str] = field(default_factory=dict)
    """Slots on which nothing is placed any more, and why."""

    def free(self, model: str | None = None) -> list[int]:
        """Numbers of the slots (of a model) that are in use and that nobody holds."""
        return [
            slot.number
            for slot in self.slots
            if slot.number not in self.held
            and slot.number not in self.aside
            and model in (None, slot.model)
        ]

    def counts(self, going: Container[str]) -> dict[str, list[int]]:
        """Model to how many slots of it are in use; of these, how many nobody holds, and how many
        those who are `going`."""
        found: dict[str, list[int]] = {}
        for slot in self.slots:
            count = found.get(slot.model)
            if count is None:
                count = found[slot.model] = [0, 0, 0]
            if slot.number not in self.aside:
                count[0] += 1
                holder = self.held.get(slot.number)
                if holder is None:
                    count[1] += 1
                elif holder in going:
                    count[2] += 1
        return found

    def model_of(self, number: int) -> str:
        """The model of a slot."""
        return next(slot.model for slot in self.slots if slot.number == number)

    def suits(self, resources: Resources) -> bool:
        """Whether a trial may be placed here: the node is not avoided, has its labels, and all its
        slots of the type asked for have the memory."""
        if self.node_id in resources.avoid_nodes:
            return False
        if least := resources.slot_memory:
            ours = (slot for slot in self.slots if suits(resources, slot.model))
            if any(slot.gigabytes < least for slot in ours):
                return False
        return resources.node_labels.items() <= self.labels.items()

    def copied(self) -> "Node":
        """A copy that can be changed in place."""
        twin = _twin(self)
        twin.held, twin.strikes, twin.aside = dict(self.held), dict(self.strikes), dict(self.aside)
        return twin


@dataclass(slots=True, kw_only=True)
class Run:
    """An allocation's part on one node."""

    placement: Placement
    outcome: Outcome | None = None
    """None: not over yet."""
    reason: str = ""
    last_time: int | None = None
    """Where its last validation result is."""
    failed_at: float | None = None
    """Unix seconds at which its first rank failed; None: none did, or it is not known."""
    echo: bool = False
    """Whether it failed since another run of the gang was gone."""


@dataclass(slots=True)
class Progress:
    """What is known of how an allocation comes along."""

    at: float
    """Unix seconds of the report that `step` and `time` are from."""
    step: int = 0
    time: int = 0
    speed: float | None = None
    """Steps a second of the whole gang; None: not known yet."""
    pace: float | None = None
    """Units of the time metric a second."""
    saved_at: float | None = None
    """When its newest checkpoint was saved."""


@dataclass(slots=True, kw_only=True)
class Allocation:
    """One attempt's wish for slots, or its hold on them."""

    allocation_id: str
    experiment_id: str
    trial_id: str
    task: Task
    resources: Resources
    program: str
    """What its speed is a property of; see `speeds.py`."""
    number: float = 0
    """Its place by age: smaller is served first."""
    since: float = 0
    """Unix seconds since when it waits; an attempt after a preemption keeps those of the first."""
    queued_at: float = 0
    """Unix seconds."""
    pools: list[str] = field(default_factory=list)
    """The pools that may serve it now, in order of preference."""
    state: AllocationState = AllocationState.QUEUED
    runs: dict[str, Run] = field(default_factory=dict)
    """Run id to run, in the order of ranks."""
    pool: str = ""
    """The pool that it is in, once granted."""
    model: str = ""
    """The model of its first slot, once granted."""
    slots: int = 0
    """Slots it holds, or held until its first run ended."""
    rendezvous: Rendezvous | None = None
    granted_at: float = 0
    price: float = 0
    """Money an hour for all its slots, once granted."""
    progress: Progress | None = None
    waiting: Waiting | None = None
    """The reason why it waits that was said last."""
    said: int = 0
    """A checksum of its words."""
    expected_at: float | None = None
    """Unix seconds at which it may start, as was said with them."""
    stop_reason: StopReason | None = None
    """Why its runs were told to stop; None: they were not."""
    grace: float = 0
    """Seconds that its runs were given to leave."""
    resized: bool = False
    """Whether its trial came back in another size or place with it."""
    told: int = 0
    """How often its runs were told to stop."""
    told_at: float = 0
    """When that was last: Unix seconds."""

    def open_runs(self) -> dict[str, Run]:
        """The runs that are not over."""
        return {name: run for name, run in self.runs.items() if run.outcome is None}

    @property
    def least(self) -> int:
        """The fewest slots that it takes."""
        return self.resources.least

    @property
    def expected_end(self) -> float | None:
        """Unix seconds at which it reaches its target at its measured pace."""
        if self.progress is None or not self.progress.pace:
            return None
        left = max(0, self.task.target - self.progress.time)
        return self.progress.at + left / self.progress.pace

    @property
    def saved_at(self) -> float:
        """Unix seconds up to which its work is safe: the last checkpoint, or its start."""
        saved = self.progress.saved_at if self.progress else None
        return self.granted_at if saved is None else saved

    def copied(self) -> "Allocation":
        """A copy that can be changed in place."""
        twin = _twin(self)
        twin.runs = {name: _twin(run) for name, run in self.runs.items()}
        return twin


@dataclass(slots=True, kw_only=True)
class Past:
    """A trial's last allocation, after its end."""

    attempt: int
    """An older or equal attempt is not queued again."""
    number: float = 0
    since: float = 0
    kept: bool = False
    """Whether the next attempt takes this place: it was preempted, or its machine was lost."""
    pools: int = 1
    """How many of its pools might serve it; the next attempt has as many, if it takes its place."""
    used: float = 0
    """Slot-seconds so far, in units of an average slot (see the policy `throughput`)."""


@dataclass(slots=True, kw_only=True)
class Return:
    """A trial that is about to come back in another size or place: its least is kept for it."""

    pool: str
    resources: Resources
    until: float | None = None
    """Unix seconds; None: it has not left yet."""


@dataclass(slots=True, kw_only=True)
class Month:
    """What a workspace used in a calendar month (UTC), by allocations that have ended."""

    month: str
    """As `2026-11`."""
    slot_seconds: float = 0
    money: float = 0
    used_up: str = ""
    """The quota that is used up, in words, as was said last; empty: none is."""
    said_slot_hours: float = 0
    """What was used, that which ran included, when that was said."""
    said_money: float = 0

    def add(self, allocation: Allocation, until: float) -> None:
        """Count an allocation's time up to then, as far as it lies in the month."""
        seconds = seconds_in(self.month, allocation.granted_at, until)
        self.slot_seconds += allocation.slots * seconds
        self.money += allocation.price * seconds / 3600


@dataclass(slots=True, kw_only=True)
class Share:
    """What a person changed about an experiment's place among others."""

    weight: float | None = None
    priority: int | None = None
    max_slots: int | None = None
    """0: no limit."""
    hold: bool = False
