"""Where a gang goes: on as few nodes as possible, leaving the fewest free slots behind."""

from collections.abc import Mapping, Sequence

from shoal_contract.states import NodeState
from shoal_scheduler.core.state import Node

Free = Mapping[str, Sequence[int]]
"""Node to the numbers of its free slots."""


def place(nodes: Mapping[str, Node], free: Free, pool: str, slots: int) -> dict[str, list[int]]:
    """Node to slot numbers for a gang of `slots`, in the order of ranks; empty if it fits nowhere.

    All slots of a gang are of one kind and model. A gang that fits on one node goes to the node
    that is then left with the fewest free slots; a larger one takes the emptiest nodes first, whole
    ones before others, and the rest goes where it fits best. Of equal nodes the one that joined
    first is taken.
    """
    rooms: dict[tuple[str, str], dict[str, list[int]]] = {}
    for name, numbers in free.items():
        node = nodes[name]
        if node.pool != pool or node.state is not NodeState.READY or not numbers:
            continue
        open_slots = set(numbers)
        for slot in node.slots:
            if slot.number in open_slots:
                room = rooms.setdefault((slot.kind, slot.model), {})
                room.setdefault(name, []).append(slot.number)
    best: dict[str, list[int]] = {}
    for room in rooms.values():
        found = _gang(nodes, room, slots)
        if found and (not best or len(found) < len(best)):
            best = found
    return best


def _gang(
    nodes: Mapping[str, Node], room: Mapping[str, Sequence[int]], slots: int
) -> dict[str, list[int]]:
    left = slots
    if sum(len(numbers) for numbers in room.values()) < left:
        return {}
    chosen: dict[str, list[int]] = {}
    emptiest = sorted(room, key=lambda n: (-len(room[n]), len(nodes[n].slots) - len(room[n])))
    for large in emptiest:
        if len(room[large]) >= left:
            others = (name for name in room if name not in chosen and len(room[name]) >= left)
            last = min(others, key=lambda name: len(room[name]))
            chosen[last] = list(room[last][:left])
            return chosen
        chosen[large] = list(room[large])
        left -= len(chosen[large])
    return {}
