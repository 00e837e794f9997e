"""Short words for the scheduler's messages, its invariants, and a runner that checks them."""

from shoal_contract import ids
from shoal_contract.events import (
    AllocationWaiting,
    Checkpoint,
    CheckpointSaved,
    Event,
    NodeJoined,
    NodeLeft,
    NodeNoticed,
    RunExited,
    Slot,
    StopOrdered,
    Task,
    TrialExtended,
    TrialRequested,
    ValidationReported,
)
from shoal_contract.resources import Resources
from shoal_contract.states import ALLOCATION, NODE, AllocationState, NodeState, Outcome, allowed
from shoal_decider import Message
from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.pools import Pools
from shoal_scheduler.core.state import State


def task(trial: str, attempt: int = 1, experiment: str = "e", target: int = 10) -> Task:
    return Task(
        experiment_id=experiment,
        trial_id=trial,
        attempt=attempt,
        entrypoint=["true"],
        bundle=None,
        hyperparameters={},
        seed=0,
        environment={},
        metric="loss",
        smaller_is_better=True,
        time_metric="step",
        target=target,
        storage_url="file:///x",
        checkpoint=None,
    )


def want(
    trial, slots=1, *, attempt=1, experiment="e", pool="default", limit=None, span=None, **more
):
    return TrialRequested(
        experiment_id=experiment,
        trial_id=trial,
        attempt=attempt,
        task=task(trial, attempt, experiment),
        resources=Resources(
            slots_per_trial=slots, resource_pool=pool, max_slots=limit, slots=span, **more
        ),
    )


def join(
    node, slots=2, *, incarnation="i1", pool="default", model="cpu", memory=0, ports=None,
    host=None, **labels,
):  # fmt: skip
    return NodeJoined(
        node_id=node,
        incarnation=incarnation,
        pool=pool,
        host=host or f"host-{node}",
        slots=[
            Slot(number=n, kind="cpu", model=model, memory=int(memory * 1e9)) for n in range(slots)
        ],
        ports=list(range(29500, 29508)) if ports is None else ports,
        instance_id=f"vm-{node}",
        labels=labels,
    )


def leave(node, incarnation="i1"):
    return NodeLeft(node_id=node, incarnation=incarnation, reason="told to")


def notice(node, seconds=120.0, incarnation="i1"):
    return NodeNoticed(node_id=node, incarnation=incarnation, reason="spot", seconds=seconds)


def exited(trial, rank, node, outcome=Outcome.COMPLETED, *, attempt=1, experiment="e", **more):
    allocation = ids.allocation_id(trial, attempt)
    return RunExited(
        experiment_id=experiment,
        run_id=ids.run_id(allocation, rank),
        allocation_id=allocation,
        trial_id=trial,
        node_id=node,
        outcome=outcome,
        **{"reason": f"it was {outcome}", **more},
    )


def saved(trial, attempt=1, experiment="e"):
    return CheckpointSaved(
        experiment_id=experiment,
        trial_id=trial,
        allocation_id=ids.allocation_id(trial, attempt),
        checkpoint=Checkpoint(url="file:///x", step=1, attempt=attempt),
    )


def report(trial, attempt, step, at):
    return ValidationReported(
        experiment_id="e",
        trial_id=trial,
        allocation_id=ids.allocation_id(trial, attempt),
        attempt=attempt,
        step=step,
        time=step,
        metrics={},
        at=at,
    )


def extend(trial, target):
    return TrialExtended(experiment_id="e", trial_id=trial, target=target)


def close(kind, trial):
    return kind(experiment_id="e", trial_id=trial, reason="so")


def check(state: State) -> None:
    """Slots are conserved, none is held twice, and both sides of every hold agree."""
    held: dict[tuple[str, str, int], str] = {}
    for name, allocation in state.allocations.items():
        assert allocation.allocation_id == name
        assert allocation.state is not AllocationState.ENDED
        assert bool(allocation.runs) == (allocation.state is not AllocationState.QUEUED)
        for run in allocation.open_runs().values():
            for number in run.placement.slots:
                place = (run.placement.node_id, run.placement.incarnation, number)
                assert place not in held, f"{place} is held by {held[place]} and {name}"
                held[place] = name
        if allocation.runs:
            assert allocation.least <= allocation.slots <= allocation.resources.most
            assert allocation.open_runs()
    seen = {
        (node.node_id, node.incarnation, number): name
        for node in state.nodes.values()
        for number, name in node.held.items()
    }
    assert seen == held
    for node in state.nodes.values():
        assert set(node.held) <= {slot.number for slot in node.slots}
        out = [number for number in node.aside if number not in node.held]
        assert len(node.free()) + len(node.held) + len(out) == len(node.slots)
        assert node.state in (NodeState.READY, NodeState.DRAINING)
    running: dict[str, int] = {}
    ports: set[tuple[str, int]] = set()
    for allocation in state.allocations.values():
        if allocation.runs:
            running[allocation.trial_id] = running.get(allocation.trial_id, 0) + 1
            assert allocation.rendezvous is not None
            meeting = (allocation.rendezvous.host, allocation.rendezvous.port)
            assert meeting not in ports
            ports.add(meeting)
    assert all(count == 1 for count in running.values()), "two attempts of a trial at once"
    for name in {a.experiment_id for a in state.allocations.values()}:
        limits = [
            a.resources.max_slots
            for a in state.allocations.values()
            if a.experiment_id == name and a.runs
        ]
        if limits and None not in limits and name not in state.shares:
            assert state.held_by(name) <= max(limits)


ENDS_A_STEP = ("allocation.granted", "pool.node_admitted", "demand.changed")
"""After these the state must be whole; between a removal and what it settles it is not."""


HOLDING = (AllocationState.GRANTED, AllocationState.RELEASING)
ONLY_NOTED = (
    "allocation.run_settled",
    "allocation.share_changed",
    "allocation.quota_changed",
)


class Watch:
    """Follows the AFTER tables: what is not in them may not happen."""

    def __init__(self) -> None:
        self.allocations: dict[str, AllocationState] = {}
        self.nodes: dict[str, NodeState] = {}

    def see(self, event: Event) -> None:
        kind = event.type
        if kind == "allocation.queued":
            known = self.allocations.setdefault(event.allocation_id, AllocationState.QUEUED)
            assert known is AllocationState.QUEUED
        elif kind in ("allocation.waiting", "allocation.widened", "allocation.moved"):
            assert self.allocations[event.allocation_id] is AllocationState.QUEUED
        elif kind == "allocation.progressed":
            assert self.allocations[event.allocation_id] in HOLDING
        elif kind.startswith("allocation.") and kind not in ONLY_NOTED:
            state = self.allocations[event.allocation_id]
            assert allowed(ALLOCATION, state, kind), f"{kind} after {state}"
            self.allocations[event.allocation_id] = ALLOCATION[state][kind]
        elif kind in ("pool.node_admitted", "pool.node_draining", "pool.node_removed"):
            state = self.nodes.get(event.node_id, NodeState.REMOVED)
            assert allowed(NODE, state, kind), f"{kind} after {state}"
            self.nodes[event.node_id] = NODE[state][kind]


class Desk:
    """A scheduler; every event is followed in the tables, every state is checked.

    `tell` leaves out why things wait: `said` has that, in the order in which it was said.
    """

    def __init__(self, *bodies, pools: Pools | None = None, decider=None) -> None:
        self.decider = decider or SchedulerDecider(pools)
        self.said: list[AllocationWaiting] = []
        self.state = self.decider.initial()
        self.watch = Watch()
        self.now = 1000.0
        self.told = 0
        for body in bodies:
            self.tell(body)

    def tell(self, body, after: float = 1.0) -> list[Event]:
        self.now += after
        self.told += 1
        events = list(self.decider.decide(self.state, Message(f"m{self.told}", self.now, body)))
        for event in events:
            self.watch.see(event)
            self.state = self.decider.evolve(self.state, event)
            if event.type in ENDS_A_STEP:
                check(self.state)
        check(self.state)
        self.said += of(events, AllocationWaiting)
        return [event for event in events if not isinstance(event, AllocationWaiting)]

    def queue(self) -> list[str]:
        queued = AllocationState.QUEUED
        return [a.trial_id for a in self.state.allocations.values() if a.state is queued]

    def where(self, trial: str, attempt: int = 1) -> dict[str, list[int]]:
        runs = self.state.allocations[ids.allocation_id(trial, attempt)].runs.values()
        return {run.placement.node_id: run.placement.slots for run in runs}


def of(events, *kinds):
    return [event for event in events if isinstance(event, kinds)]


def stops(events):
    return [(e.node_id, e.reason, e.grace) for e in of(events, StopOrdered)]
