"""First come, first served, strictly: the first that finds no place blocks all behind it, so that
no gang starves. Passed over is only who waits for its own experiment's `max_slots`, or for the
end of its trial's previous attempt."""

from shoal_contract.states import AllocationState
from shoal_scheduler.core.placement import place
from shoal_scheduler.core.policies.base import Pass
from shoal_scheduler.core.ports import Ports
from shoal_scheduler.core.state import Allocation, State


class Fifo:
    """The policy of a pool that names no other."""

    def schedule(self, state: State, pool: str) -> Pass:
        """Grant from the head of the queue for as long as the head finds a place."""
        free = {node.node_id: node.free() for node in state.nodes.values() if node.pool == pool}
        held: dict[str, int] = {}
        busy: set[str] = set()
        for allocation in state.allocations.values():
            name = allocation.experiment_id
            held[name] = held.get(name, 0) + allocation.slots
            if allocation.state is not AllocationState.QUEUED:
                busy.add(allocation.trial_id)
        ports = Ports(state)
        grants: list[tuple[Allocation, dict[str, list[int]]]] = []
        waiting: list[Allocation] = []
        for allocation in state.allocations.values():
            resources = allocation.resources
            if allocation.state is not AllocationState.QUEUED or resources.resource_pool != pool:
                continue
            slots, experiment = resources.slots_per_trial, allocation.experiment_id
            limit = resources.max_slots
            if allocation.trial_id in busy:
                continue
            if limit is not None and held[experiment] + slots > limit:
                continue
            held[experiment] += slots
            chosen = {} if waiting else _find(state, free, ports, pool, slots)
            if not chosen:
                waiting.append(allocation)
                continue
            for node_id, numbers in chosen.items():
                free[node_id] = [n for n in free[node_id] if n not in numbers]
            ports.take(state.nodes[next(iter(chosen))])
            grants.append((allocation, chosen))
        return Pass(grants, waiting)


def _find(
    state: State, free: dict[str, list[int]], ports: Ports, pool: str, slots: int
) -> dict[str, list[int]]:
    """A place whose first node has a port left to meet at."""
    chosen = place(state.nodes, free, pool, slots)
    if not chosen:
        return {}
    able = [name for name in chosen if ports.free(state.nodes[name]) is not None]
    if able:
        return {able[0]: chosen[able[0]], **chosen}
    rest = {
        name: numbers for name, numbers in free.items() if ports.free(state.nodes[name]) is not None
    }
    return place(state.nodes, rest, pool, slots)
