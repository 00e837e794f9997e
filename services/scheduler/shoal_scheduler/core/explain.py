"""Why a trial waits, in one sentence."""

from shoal_contract.states import AllocationState, NodeState
from shoal_scheduler.core.state import Allocation, State


def explain(state: State, trial_id: str) -> str:
    """One honest sentence on a trial's place in the queue."""
    allocation = state.of_trial(trial_id)
    if allocation is None:
        return f"{trial_id} asks for no slots."
    if allocation.state is not AllocationState.QUEUED:
        where = ", ".join(run.placement.node_id for run in allocation.runs.values())
        return f"{trial_id} holds {allocation.slots} slots on {where} ({allocation.state})."
    for other in state.allocations.values():
        if other.trial_id == trial_id and other.state is not AllocationState.QUEUED:
            return f"{trial_id} waits until its attempt {other.task.attempt} has left its slots."
    resources = allocation.resources
    need, pool = resources.slots_per_trial, resources.resource_pool
    held = state.held_by(allocation.experiment_id)
    if resources.max_slots is not None and held + need > resources.max_slots:
        return (
            f"{trial_id} waits: its experiment holds {held} of the {resources.max_slots} slots"
            f" that it may hold, and this trial needs {need}."
        )
    members = [node for node in state.nodes.values() if node.pool == pool]
    ready = [node for node in members if node.state is NodeState.READY]
    total = sum(len(node.slots) for node in ready)
    free = sum(len(node.free()) for node in ready)
    if not members:
        return f"{trial_id} waits for {need} slots: pool {pool} has no machine yet."
    return (
        f"{trial_id} waits for {need} slots of pool {pool}: {free} of {total} are free,"
        f" and {_ahead(state, allocation)} trials are ahead of it."
    )


def _ahead(state: State, allocation: Allocation) -> int:
    count = 0
    for other in state.allocations.values():
        if other.allocation_id == allocation.allocation_id:
            break
        same_pool = other.resources.resource_pool == allocation.resources.resource_pool
        count += other.state is AllocationState.QUEUED and same_pool
    return count
