"""Where a gang goes: on as few nodes as possible, leaving the fewest free slots behind."""

from collections.abc import Mapping, Sequence

from shoal_contract.states import NodeState
from shoal_scheduler.core.state import Node

Free = Mapping[str, Sequence[int]]
"""Node to the numbers of its free slots."""


def place(nodes: Mapping[str, Node], free: Free, pool: str, slots: int) -> dict[str, list[int]]:
    """Node to slot numbers for a gang of `slots`, in the order of ranks; empty if it fits nowhere.

    All slots of a gang are of one kind and model. A gang that fits on one node goes to the node
    that is then left with the fewest free slots; a larger one takes the emptiest nodes first, and
    the rest goes where it fits best. Of equal nodes the one that joined first is taken.
    """
    best: dict[str, list[int]] = {}
    for model in _models(nodes, pool):
        room = {
            node_id: [n for n in numbers if n in _numbers(nodes[node_id], model)]
            for node_id, numbers in free.items()
            if nodes[node_id].pool == pool and nodes[node_id].state is NodeState.READY
        }
        found = _gang({k: v for k, v in room.items() if v}, slots)
        if found and (not best or len(found) < len(best)):
            best = found
    return best


def _models(nodes: Mapping[str, Node], pool: str) -> list[tuple[str, str]]:
    members = (node for node in nodes.values() if node.pool == pool)
    return list(dict.fromkeys((s.kind, s.model) for node in members for s in node.slots))


def _numbers(node: Node, model: tuple[str, str]) -> list[int]:
    return [s.number for s in node.slots if (s.kind, s.model) == model]


def _gang(room: Mapping[str, Sequence[int]], slots: int) -> dict[str, list[int]]:
    chosen: dict[str, list[int]] = {}
    left = slots
    names = list(room)
    while left > 0:
        open_nodes = [n for n in names if n not in chosen]
        fitting = [n for n in open_nodes if len(room[n]) >= left]
        if fitting:
            node = min(fitting, key=lambda n: len(room[n]))
        elif open_nodes:
            node = max(open_nodes, key=lambda n: len(room[n]))
        else:
            return {}
        chosen[node] = list(room[node][:left])
        left -= len(chosen[node])
    return chosen
