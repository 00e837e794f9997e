"""A draft: the decisions so far, and the state as it will be after them."""

from dataclasses import dataclass, field

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationReleasing,
    DemandChanged,
    Event,
    NodeBusy,
    NodeIdle,
    NodeRemoved,
    Placement,
    Rendezvous,
    RunOrder,
    RunSettled,
    StartOrdered,
    StopOrdered,
    Want,
)
from shoal_contract.ids import run_id
from shoal_contract.states import AllocationState, NodeState, Outcome, StopReason
from shoal_scheduler.core.evolve import evolve
from shoal_scheduler.core.policies import Fifo, Policy
from shoal_scheduler.core.state import Allocation, Node, State

GRACE = 30.0
"""Seconds that a run gets to checkpoint and leave."""
_WORST = (Outcome.FAILED, Outcome.LOST, Outcome.PREEMPTED, Outcome.STOPPED, Outcome.COMPLETED)


@dataclass(slots=True)
class Draft:
    """Collects events, and applies each to a copy that the state does not see."""

    state: State
    now: float
    policy: Policy = field(default_factory=Fifo)
    events: list[Event] = field(default_factory=list)

    @classmethod
    def of(cls, state: State, now: float) -> "Draft":
        """A draft that begins as `state` is."""
        return cls(state.model_copy(deep=True), now)

    def emit(self, event: Event) -> None:
        """Decide on an event."""
        self.events.append(event)
        self.state = evolve(self.state, event)

    def release(self, allocation: Allocation, reason: StopReason, grace: float = GRACE) -> None:
        """Take an allocation out of the queue, or tell its runs to checkpoint and leave."""
        if allocation.state is AllocationState.QUEUED:
            self._end(allocation, Outcome.STOPPED, "it left the queue")
            return
        if allocation.state is AllocationState.GRANTED:
            self.emit(
                AllocationReleasing(
                    experiment_id=allocation.experiment_id,
                    allocation_id=allocation.allocation_id,
                    reason=reason,
                )
            )
        elif allocation.stop_reason is not StopReason.PREEMPTED:
            return  # told already
        for run_name, run in allocation.runs.items():
            if run.outcome is None:
                self.emit(
                    StopOrdered(
                        node_id=run.placement.node_id,
                        incarnation=run.placement.incarnation,
                        allocation_id=allocation.allocation_id,
                        run_id=run_name,
                        reason=reason,
                        grace=grace,
                    )
                )

    def settle(self, allocation: Allocation, run_name: str, outcome: Outcome, reason: str) -> None:
        """A run is over: free its slots, tell the rest of its gang; the last one ends it all."""
        placement = allocation.runs[run_name].placement
        self.emit(
            RunSettled(
                experiment_id=allocation.experiment_id,
                allocation_id=allocation.allocation_id,
                run_id=run_name,
                node_id=placement.node_id,
                outcome=outcome,
                reason=reason,
            )
        )
        node = self.state.nodes.get(placement.node_id)
        if node is not None and node.incarnation == placement.incarnation and not node.held:
            self.emit(NodeIdle(node_id=node.node_id, instance_id=node.instance_id))
        allocation = self.state.allocations[allocation.allocation_id]
        open_runs = [run for run in allocation.runs.values() if run.outcome is None]
        if open_runs:
            if allocation.state is AllocationState.GRANTED and outcome is not Outcome.COMPLETED:
                self.release(allocation, StopReason.GANG_BROKEN)
            return
        worst = min(
            (run for run in allocation.runs.values() if run.outcome is not None),
            key=lambda run: _WORST.index(run.outcome or Outcome.COMPLETED),
        )
        self._end(allocation, worst.outcome or Outcome.LOST, worst.reason)

    def _end(self, allocation: Allocation, outcome: Outcome, reason: str) -> None:
        granted = allocation.granted_at
        self.emit(
            AllocationEnded(
                experiment_id=allocation.experiment_id,
                allocation_id=allocation.allocation_id,
                trial_id=allocation.trial_id,
                attempt=allocation.task.attempt,
                outcome=outcome,
                reason=reason,
                slots=allocation.slots,
                seconds=max(0.0, self.now - granted) if granted else 0.0,
            )
        )

    def remove(self, node: Node, reason: str) -> None:
        """A node is gone, and with it every run on it."""
        self.emit(
            NodeRemoved(
                node_id=node.node_id,
                incarnation=node.incarnation,
                instance_id=node.instance_id,
                reason=reason,
            )
        )
        outcome = Outcome.PREEMPTED if node.state is NodeState.DRAINING else Outcome.LOST
        for allocation_id in list(dict.fromkeys(node.held.values())):
            allocation = self.state.allocations[allocation_id]
            for run_name, run in list(allocation.runs.items()):
                there = run.placement.node_id == node.node_id and run.outcome is None
                if there and allocation_id in self.state.allocations:
                    current = self.state.allocations[allocation_id]
                    self.settle(current, run_name, outcome, f"{node.node_id} is gone: {reason}")

    def schedule(self) -> None:
        """Grant what can be granted, and say what is missing, in every pool."""
        pools = [node.pool for node in self.state.nodes.values()]
        pools += [a.resources.resource_pool for a in self.state.allocations.values()]
        pools += list(self.state.demand)
        for pool in dict.fromkeys(pools):
            result = self.policy.schedule(self.state, pool)
            for allocation, chosen in result.grants:
                self._grant(allocation, chosen)
            counts: dict[int, int] = {}
            for allocation in result.waiting:
                slots = allocation.resources.slots_per_trial
                counts[slots] = counts.get(slots, 0) + 1
            wants = [Want(slots=slots, count=count) for slots, count in sorted(counts.items())]
            if wants != self.state.demand.get(pool, []):
                self.emit(DemandChanged(pool=pool, wants=wants))

    def _grant(self, allocation: Allocation, chosen: dict[str, list[int]]) -> None:
        nodes = self.state.nodes
        placements = [
            Placement(node_id=n, incarnation=nodes[n].incarnation, slots=slots)
            for n, slots in chosen.items()
        ]
        rendezvous = self._rendezvous(nodes[placements[0].node_id])
        idle = [nodes[n] for n in chosen if not nodes[n].held]
        ids = {
            "experiment_id": allocation.experiment_id,
            "allocation_id": allocation.allocation_id,
        }
        self.emit(
            AllocationGranted(
                **ids,
                trial_id=allocation.trial_id,
                attempt=allocation.task.attempt,
                placements=placements,
                rendezvous=rendezvous,
                at=self.now,
            )
        )
        for node in idle:
            self.emit(NodeBusy(node_id=node.node_id, instance_id=node.instance_id))
        first = 0
        for rank, placement in enumerate(placements):
            order = RunOrder(
                allocation_id=allocation.allocation_id,
                run_id=run_id(allocation.allocation_id, rank),
                node_rank=rank,
                first_rank=first,
                slots=placement.slots,
                world_size=allocation.resources.slots_per_trial,
                rendezvous=rendezvous,
                task=self.state.allocations[allocation.allocation_id].task,
            )
            first += len(placement.slots)
            self.emit(
                StartOrdered(
                    node_id=placement.node_id,
                    incarnation=placement.incarnation,
                    allocation_id=allocation.allocation_id,
                    run=order,
                )
            )

    def _rendezvous(self, node: Node) -> Rendezvous:
        used = {
            a.rendezvous.port
            for a in self.state.allocations.values()
            if a.rendezvous is not None and a.rendezvous.host == node.host
        }
        turn = [node.ports[(node.port_uses + i) % len(node.ports)] for i in range(len(node.ports))]
        port = next((p for p in turn if p not in used), turn[0] if turn else 29500)
        return Rendezvous(host=node.host, port=port)
