"""First come, first served, strictly: the first that finds no place blocks all behind it, so that
no gang starves. Only who waits for its own experiment's `max_slots` is passed over."""

from shoal_contract.states import AllocationState
from shoal_scheduler.core.placement import place
from shoal_scheduler.core.policies.base import Pass
from shoal_scheduler.core.state import Allocation, State


class Fifo:
    """The policy of a pool that names no other."""

    def schedule(self, state: State, pool: str) -> Pass:
        """Grant from the head of the queue for as long as the head finds a place."""
        free = {node.node_id: node.free() for node in state.nodes.values() if node.pool == pool}
        held: dict[str, int] = {}
        for allocation in state.allocations.values():
            held[allocation.experiment_id] = (
                held.get(allocation.experiment_id, 0) + allocation.slots
            )
        grants: list[tuple[Allocation, dict[str, list[int]]]] = []
        waiting: list[Allocation] = []
        for allocation in state.allocations.values():
            resources = allocation.resources
            if allocation.state is not AllocationState.QUEUED or resources.resource_pool != pool:
                continue
            slots, experiment = resources.slots_per_trial, allocation.experiment_id
            if resources.max_slots is not None and held[experiment] + slots > resources.max_slots:
                continue
            held[experiment] += slots
            chosen = {} if waiting else place(state.nodes, free, pool, slots)
            if not chosen:
                waiting.append(allocation)
                continue
            for node_id, numbers in chosen.items():
                free[node_id] = [n for n in free[node_id] if n not in numbers]
            grants.append((allocation, chosen))
        return Pass(grants, waiting)
