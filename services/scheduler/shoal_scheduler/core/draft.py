"""A draft: the decisions so far, and the state as it will be after them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from shoal_contract.events import (
    AllocationEnded,
    AllocationReleasing,
    Event,
    NodeIdle,
    NodeRemoved,
    RunSettled,
    StopOrdered,
)
from shoal_contract.states import AllocationState, NodeState, Outcome, StopReason
from shoal_scheduler.core.evolve import evolve
from shoal_scheduler.core.outcomes import of_allocation, of_run
from shoal_scheduler.core.state import Allocation, Node, State

GRACE = 30.0
"""Seconds that a run gets to checkpoint and leave."""
LINGER = 300.0
"""Seconds that the rest of a gang gets to finish after one of its runs completed."""


@dataclass(slots=True)
class Draft:
    """Collects events, and applies each to a state of its own.

    That state shares all nodes and allocations with the real one except those that an event
    touches: they are copied first, so that the real state is only read.
    """

    state: State
    now: float
    events: list[Event] = field(default_factory=list)
    _own: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, state: State, now: float) -> "Draft":
        """A draft that begins as `state` is."""
        return cls(
            State.model_construct(
                nodes=dict(state.nodes),
                allocations=dict(state.allocations),
                attempts=dict(state.attempts),
                current=dict(state.current),
                demand=dict(state.demand),
                gone=dict(state.gone),
            ),
            now,
        )

    def emit(self, event: Event) -> None:
        """Decide on an event."""
        self.events.append(event)
        for node_id in _nodes_of(event):
            node = self.state.nodes.get(node_id)
            if node is not None and f"node {node_id}" not in self._own:
                self._own.add(f"node {node_id}")
                self.state.nodes[node_id] = node.model_copy(update={"held": dict(node.held)})
        name = getattr(event, "allocation_id", "")
        allocation = self.state.allocations.get(name)
        if allocation is not None and name not in self._own:
            self._own.add(name)
            runs = {key: run.model_copy() for key, run in allocation.runs.items()}
            self.state.allocations[name] = allocation.model_copy(update={"runs": runs})
        self.state = evolve(self.state, event)

    def release(self, allocation_id: str, reason: StopReason, grace: float = GRACE) -> None:
        """Take an allocation out of the queue, or tell its runs to checkpoint and leave.

        Runs that were told before are told again only if they now have less time.
        """
        allocation = self.state.allocations[allocation_id]
        if allocation.state is AllocationState.QUEUED:
            self.end(allocation, Outcome.STOPPED, "it left the queue")
            return
        if allocation.state is AllocationState.GRANTED:
            self.emit(
                AllocationReleasing(
                    experiment_id=allocation.experiment_id,
                    allocation_id=allocation_id,
                    reason=reason,
                )
            )
        elif grace >= allocation.grace:
            return
        for run_name, run in allocation.open_runs().items():
            self.emit(
                StopOrdered(
                    node_id=run.placement.node_id,
                    incarnation=run.placement.incarnation,
                    allocation_id=allocation_id,
                    run_id=run_name,
                    reason=reason,
                    grace=grace,
                )
            )

    def settle(self, allocation_id: str, run_name: str, outcome: Outcome, reason: str) -> None:
        """A run is over: free its slots, tell the rest of its gang; the last one ends it all."""
        allocation = self.state.allocations[allocation_id]
        placement = allocation.runs[run_name].placement
        node = self.state.nodes.get(placement.node_id)
        draining = node is not None and node.state is NodeState.DRAINING
        outcome = of_run(allocation, outcome, draining)
        self.emit(
            RunSettled(
                experiment_id=allocation.experiment_id,
                allocation_id=allocation_id,
                run_id=run_name,
                node_id=placement.node_id,
                outcome=outcome,
                reason=reason,
            )
        )
        node = self.state.nodes.get(placement.node_id)
        if node is not None and node.incarnation == placement.incarnation and not node.held:
            self.emit(NodeIdle(node_id=node.node_id, instance_id=node.instance_id))
        allocation = self.state.allocations[allocation_id]
        if allocation.open_runs():
            grace = LINGER if outcome is Outcome.COMPLETED else GRACE
            self.release(allocation_id, StopReason.GANG_BROKEN, grace)
        else:
            self.end(allocation, *of_allocation(allocation))

    def end(self, allocation: Allocation, outcome: Outcome, reason: str) -> None:
        """An allocation holds nothing any more and waits for nothing."""
        waited = allocation.state is AllocationState.QUEUED
        self.emit(
            AllocationEnded(
                experiment_id=allocation.experiment_id,
                allocation_id=allocation.allocation_id,
                trial_id=allocation.trial_id,
                attempt=allocation.task.attempt,
                outcome=outcome,
                reason=reason,
                slots=allocation.slots,
                seconds=0.0 if waited else max(0.0, self.now - allocation.granted_at),
            )
        )

    def remove(self, node: Node, reason: str) -> None:
        """A node is gone, and all runs on it are lost; it had notice: they were preempted."""
        self.emit(
            NodeRemoved(
                node_id=node.node_id,
                incarnation=node.incarnation,
                instance_id=node.instance_id,
                reason=reason,
            )
        )
        outcome = Outcome.PREEMPTED if node.state is NodeState.DRAINING else Outcome.LOST
        for allocation_id in dict.fromkeys(node.held.values()):
            runs = self.state.allocations[allocation_id].open_runs()
            for run_name, run in runs.items():
                if run.placement.node_id == node.node_id:
                    self.settle(allocation_id, run_name, outcome, f"{node.node_id} left: {reason}")


def _nodes_of(event: Event) -> Iterator[str]:
    if hasattr(event, "node_id"):
        yield event.node_id
    for placement in getattr(event, "placements", ()):
        yield placement.node_id
