"""The effect of each event on the state."""

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationQueued,
    AllocationReleasing,
    DemandChanged,
    Event,
    ExtendOrdered,
    NodeAdmitted,
    NodeDraining,
    NodeRemoved,
    RunSettled,
    StopOrdered,
)
from shoal_contract.ids import run_id
from shoal_contract.states import AllocationState, NodeState
from shoal_scheduler.core.state import Allocation, Node, Run, State


def evolve(state: State, event: Event) -> State:
    """The state after an event; `state` is changed in place."""
    match event:
        case NodeAdmitted() | NodeDraining() | NodeRemoved():
            _node(state, event)
        case AllocationQueued():
            _queue(state, event)
        case AllocationGranted():
            _grant(state, event)
        case AllocationReleasing():
            allocation = state.allocations[event.allocation_id]
            allocation.state, allocation.stop_reason = AllocationState.RELEASING, event.reason
        case RunSettled():
            run = state.allocations[event.allocation_id].runs[event.run_id]
            run.outcome, run.reason = event.outcome, event.reason
            node = state.nodes.get(event.node_id)
            if node is not None and node.incarnation == run.placement.incarnation:
                for number in run.placement.slots:
                    node.held.pop(number, None)
        case AllocationEnded():
            state.allocations.pop(event.allocation_id)
            if state.current.get(event.trial_id) == event.allocation_id:
                del state.current[event.trial_id]
        case StopOrdered():
            state.allocations[event.allocation_id].grace = event.grace
        case ExtendOrdered():
            allocation = state.allocations[event.allocation_id]
            allocation.task = allocation.task.model_copy(update={"target": event.target})
        case DemandChanged():
            state.demand[event.pool] = event.wants
        case _:
            pass
    return state


def _node(state: State, event: NodeAdmitted | NodeDraining | NodeRemoved) -> None:
    match event:
        case NodeAdmitted():
            state.nodes[event.node_id] = Node(
                node_id=event.node_id,
                incarnation=event.incarnation,
                pool=event.pool,
                host=event.host,
                slots=event.slots,
                ports=event.ports,
                instance_id=event.instance_id,
            )
        case NodeDraining():
            state.nodes[event.node_id].state = NodeState.DRAINING
        case NodeRemoved():
            state.nodes.pop(event.node_id)
            state.gone[f"{event.node_id}/{event.incarnation}"] = event.reason


def _queue(state: State, event: AllocationQueued) -> None:
    state.attempts[event.trial_id] = event.task.attempt
    state.current[event.trial_id] = event.allocation_id
    # An allocation that is queued already keeps its place: only its task is newer.
    state.allocations[event.allocation_id] = Allocation(
        allocation_id=event.allocation_id,
        experiment_id=event.experiment_id,
        trial_id=event.trial_id,
        task=event.task,
        resources=event.resources,
    )


def _grant(state: State, event: AllocationGranted) -> None:
    allocation = state.allocations[event.allocation_id]
    allocation.state, allocation.granted_at = AllocationState.GRANTED, event.at
    allocation.rendezvous = event.rendezvous
    for rank, placement in enumerate(event.placements):
        allocation.runs[run_id(event.allocation_id, rank)] = Run(placement=placement)
        held = state.nodes[placement.node_id].held
        for number in placement.slots:
            held[number] = event.allocation_id
    state.nodes[event.placements[0].node_id].port_uses += 1
