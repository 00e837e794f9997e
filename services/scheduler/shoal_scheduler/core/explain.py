"""Why a trial waits, in one sentence."""

from shoal_contract.states import AllocationState, NodeState
from shoal_scheduler.core.state import State


def explain(state: State, trial_id: str) -> str:
    """One honest sentence on a trial's place in the queue."""
    allocation = state.of_trial(trial_id)
    if allocation is None:
        return f"{trial_id} asks for no slots."
    if allocation.state is not AllocationState.QUEUED:
        where = ", ".join(run.placement.node_id for run in allocation.runs.values())
        return f"{trial_id} holds {allocation.slots} slots on {where} ({allocation.state})."
    resources = allocation.resources
    need, pool = resources.slots_per_trial, resources.resource_pool
    held = state.held_by(allocation.experiment_id)
    if resources.max_slots is not None and held + need > resources.max_slots:
        return (
            f"{trial_id} waits: its experiment holds {held} of the {resources.max_slots} slots"
            f" that it may hold, and this trial needs {need}."
        )
    free = sum(
        len(node.free())
        for node in state.nodes.values()
        if node.pool == pool and node.state is NodeState.READY
    )
    ahead = 0
    for other in state.allocations.values():
        if other.allocation_id == allocation.allocation_id:
            break
        same_pool = other.resources.resource_pool == pool
        ahead += other.state is AllocationState.QUEUED and same_pool
    return (
        f"{trial_id} waits for {need} slots of pool {pool}: {free} are free,"
        f" and {ahead} are ahead of it."
    )
