"""A scheduling pass: what can be granted, and what is missing."""

from collections.abc import Mapping, Sequence

from shoal_contract.events import (
    AllocationGranted,
    DemandChanged,
    NodeBusy,
    Placement,
    Rendezvous,
    RunOrder,
    StartOrdered,
    Want,
)
from shoal_contract.ids import run_id
from shoal_scheduler.core.draft import Draft
from shoal_scheduler.core.policies import Policy
from shoal_scheduler.core.ports import Ports
from shoal_scheduler.core.state import Allocation


def schedule(draft: Draft, policy: Policy) -> None:
    """Grant what can be granted in every pool, then say what is missing."""
    state = draft.state
    pools = [node.pool for node in state.nodes.values()]
    pools += [allocation.resources.resource_pool for allocation in state.allocations.values()]
    pools += list(state.demand)
    missing: dict[str, list[Want]] = {}
    for pool in dict.fromkeys(pools):
        result = policy.schedule(draft.state, pool)
        for allocation, chosen in result.grants:
            _grant(draft, allocation, chosen)
        missing[pool] = _wants(result.waiting)
    for pool, wants in missing.items():
        if wants != draft.state.demand.get(pool, []):
            draft.emit(DemandChanged(pool=pool, wants=wants))


def _wants(waiting: Sequence[Allocation]) -> list[Want]:
    counts: dict[int, int] = {}
    for allocation in waiting:
        slots = allocation.resources.slots_per_trial
        counts[slots] = counts.get(slots, 0) + 1
    return [Want(slots=slots, count=count) for slots, count in sorted(counts.items())]


def _grant(draft: Draft, allocation: Allocation, chosen: Mapping[str, Sequence[int]]) -> None:
    nodes = draft.state.nodes
    placements = [
        Placement(node_id=name, incarnation=nodes[name].incarnation, slots=list(numbers))
        for name, numbers in chosen.items()
    ]
    first = nodes[placements[0].node_id]
    port = Ports(draft.state).free(first)
    rendezvous = Rendezvous(host=first.host, port=port or 0)
    idle = [nodes[name] for name in chosen if not nodes[name].held]
    draft.emit(
        AllocationGranted(
            experiment_id=allocation.experiment_id,
            allocation_id=allocation.allocation_id,
            trial_id=allocation.trial_id,
            attempt=allocation.task.attempt,
            placements=placements,
            rendezvous=rendezvous,
            at=draft.now,
        )
    )
    for node in idle:
        draft.emit(NodeBusy(node_id=node.node_id, instance_id=node.instance_id))
    first_rank = 0
    for node_rank, placement in enumerate(placements):
        order = RunOrder(
            allocation_id=allocation.allocation_id,
            run_id=run_id(allocation.allocation_id, node_rank),
            node_rank=node_rank,
            first_rank=first_rank,
            slots=placement.slots,
            world_size=allocation.resources.slots_per_trial,
            rendezvous=rendezvous,
            task=allocation.task,
        )
        first_rank += len(placement.slots)
        draft.emit(
            StartOrdered(
                node_id=placement.node_id,
                incarnation=placement.incarnation,
                allocation_id=allocation.allocation_id,
                run=order,
            )
        )
