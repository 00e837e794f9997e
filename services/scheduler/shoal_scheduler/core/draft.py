"""A draft: the decisions so far, and the state as it will be after them."""

from dataclasses import dataclass, field

from shoal_contract.events import (
    AllocationEnded,
    AllocationReleasing,
    Event,
    NodeIdle,
    NodeRemoved,
    RunExited,
    RunSettled,
    SlotSetAside,
    StopOrdered,
)
from shoal_contract.states import AllocationState, NodeState, Outcome, StopReason
from shoal_scheduler.core.evolve import evolve
from shoal_scheduler.core.models import Allocation, Node
from shoal_scheduler.core.outcomes import of_allocation, of_run
from shoal_scheduler.core.state import State

GRACE = 30.0
"""Seconds that a run gets to checkpoint and leave."""
TOLD = 5
"""So often a run is told to stop, `GRACE` after it should have ended."""
STRIKES = 3
"""So many different ones have to fail on a slot, with none completed between, to put it aside."""
BROKEN = 5.0
"""Seconds that the rest of a gang gets after one of its runs was lost or failed: what hangs in an
exchange with it would hang for ever."""
LINGER = 300.0
"""Seconds that the rest of a gang gets to finish after one of its runs completed."""
REST = {Outcome.COMPLETED: LINGER, Outcome.LOST: BROKEN, Outcome.FAILED: BROKEN}
"""What the rest of a gang gets after one of its runs ended so; else `GRACE`."""

_ENDS = (AllocationEnded, NodeRemoved)
"""What is of its pool before it took effect, not after."""


@dataclass(slots=True)
class Draft:
    """Collects events, and applies each to a fork of the state, so that the state is only read."""

    state: State
    now: float
    events: list[Event] = field(default_factory=list)
    pools: dict[str, None] = field(default_factory=dict)
    """The pools in which something changed."""

    @classmethod
    def of(cls, state: State, now: float) -> "Draft":
        """A draft that begins as `state` is."""
        return cls(state.fork(), now)

    def emit(self, event: Event) -> None:
        """Decide on an event."""
        ends = isinstance(event, _ENDS)
        if ends:
            self._touch(event)
        self.events.append(event)
        self.state = evolve(self.state, event)
        if not ends:
            self._touch(event)

    def _touch(self, event: Event) -> None:
        name = event.type
        if name.startswith("allocation."):
            allocation = self.state.allocations.get(getattr(event, event.key[-1]))
            if allocation is not None:
                for pool in allocation.pools:
                    self.pools[pool] = None
                if allocation.pool:
                    self.pools[allocation.pool] = None
        elif name.startswith("pool."):
            node = self.state.nodes.get(getattr(event, event.key[0]))
            if node is not None:
                self.pools[node.pool] = None

    def release(
        self, allocation_id: str, reason: StopReason, grace: float = GRACE, returns_to: str = ""
    ) -> None:
        """Take an allocation out of the queue, or tell its runs to checkpoint and leave; in the
        pool that it `returns_to` its least is kept for it.

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
                    returns_to=returns_to,
                )
            )
        elif grace >= allocation.grace:
            return
        self._stop(allocation, reason, grace)

    def _stop(self, allocation: Allocation, reason: StopReason, grace: float) -> None:
        for run_name, run in allocation.open_runs().items():
            self.emit(
                StopOrdered(
                    node_id=run.placement.node_id,
                    incarnation=run.placement.incarnation,
                    allocation_id=allocation.allocation_id,
                    run_id=run_name,
                    reason=reason,
                    grace=grace,
                    at=self.now,
                )
            )

    def insist(self, allocation: Allocation) -> None:
        """Tell runs again to stop that should have ended by now. A node that still does not say
        that they have is given up: it kills what it runs, and joins anew."""
        reason = allocation.stop_reason
        if reason is None or self.now < allocation.told_at + allocation.grace + GRACE:
            return
        if allocation.told < TOLD:
            self._stop(allocation, reason, allocation.grace)
            return
        for run_name, run in allocation.open_runs().items():
            node = self.state.nodes.get(run.placement.node_id)
            if node is not None and node.incarnation == run.placement.incarnation:
                self.remove(node, f"{run_name} did not end though told {TOLD} times")

    def settle(
        self,
        allocation_id: str,
        run_name: str,
        outcome: Outcome,
        reason: str,
        said: RunExited | None = None,
    ) -> None:
        """A run is over, as its worker `said` if it did: free its slots, tell the rest of its gang;
        the last one ends it all."""
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
                last_time=said.last_time if said else None,
                failed_at=said.failed_at if said else None,
                echo=said is not None and said.echo,
            )
        )
        node = self.state.nodes.get(placement.node_id)
        if node is not None and node.incarnation == placement.incarnation:
            self._judge(node, placement.slots)
            node = self.state.nodes[placement.node_id]
        if node is not None and node.incarnation == placement.incarnation and not node.held:
            self.emit(NodeIdle(node_id=node.node_id, instance_id=node.instance_id))
        allocation = self.state.allocations[allocation_id]
        if allocation.open_runs():
            self.release(allocation_id, StopReason.GANG_BROKEN, REST.get(outcome, GRACE))
        else:
            self.end(allocation, *of_allocation(allocation))

    def _judge(self, node: Node, slots: list[int]) -> None:
        """Put slots aside on which several in a row failed that have nothing else in common."""
        for number in slots:
            strikes = node.strikes.get(number, [])
            if len(strikes) >= STRIKES and number not in node.aside:
                self.emit(
                    SlotSetAside(
                        node_id=node.node_id,
                        incarnation=node.incarnation,
                        slot=number,
                        reason=f"runs of {', '.join(strikes)} failed on it, and none completed",
                    )
                )

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
                last_time=max(
                    (r.last_time for r in allocation.runs.values() if r.last_time is not None),
                    default=None,
                ),
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
