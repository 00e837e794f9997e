"""What a pool could ever give a trial, were nobody else there."""

from collections.abc import Iterator

from shoal_contract.resources import Resources
from shoal_contract.states import NodeState
from shoal_scheduler.core.models import Node
from shoal_scheduler.core.placement import suits
from shoal_scheduler.core.state import State


def nodes(state: State, resources: Resources, pool: str) -> Iterator[Node]:
    """The nodes of a pool that will do."""
    for node in state.nodes.values():
        if node.pool == pool and node.state is NodeState.READY and node.suits(resources):
            yield node


def largest(state: State, resources: Resources, pool: str, enough: float = float("inf")) -> int:
    """The most slots that one gang could have; it counts no further than `enough`."""
    room = state.index.room
    sizes = {model: 0 for model in room.models(pool) if suits(resources, model)}
    mixed = resources.mixed_types and state.index.pools.of(pool).fitting.mixed
    most = 0
    if not (resources.choosy or resources.single_node):
        sizes = {model: room.size(pool, model) for model in sizes}
        return sum(sizes.values()) if mixed else max(sizes.values(), default=0)
    for node in nodes(state, resources, pool):
        for model, (usable, _, _) in node.counts(()).items():
            if model in sizes:
                sizes[model] = usable + (0 if resources.single_node else sizes[model])
                most = max(most, sizes[model])
        if mixed and not resources.single_node:
            most = sum(sizes.values())
        if most >= enough:
            break
    return most
