"""Who yields: the least important; of equals those on as few nodes as possible, who lose the least
work since their checkpoint."""

from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import NamedTuple

from shoal_contract.states import AllocationState, NodeState
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.placement import suits
from shoal_scheduler.core.room import Room, Share
from shoal_scheduler.core.state import State
from shoal_scheduler.core.tables import reader
from shoal_scheduler.core.turn import Turn

LOOK = 128
"""How many that run are compared at first, for a gang of `SMALL` slots; for larger ones more."""
WHOLE = 32
"""Nodes on which all that run are compared besides: else none might be found whole."""
SMALL = 64
Tier = tuple[float, ...]
Cost = tuple[Tier, float]
"""The most important that yields, and the slot-seconds of work that are lost."""


class Candidate(NamedTuple):
    """Who may have to yield; in order, who does so first."""

    tier: Tier
    """Decides first: the less important have less."""
    loss: float
    age: float
    name: str


class Pick(NamedTuple):
    """Who yields on one node."""

    cost: Cost
    names: list[str]
    slots: int
    """That are free there then."""


class Yielders:
    """Those that may have to yield in a pass, by node. `spare` tells how many slots at most may be
    taken from an owner; None: any number."""

    def __init__(
        self,
        turn: Turn,
        candidates: Iterable[tuple[Tier, Allocation]],
        spare: Callable[[str], int] | None = None,
    ) -> None:
        self.turn, self._spare = turn, spare
        self._of: dict[Tier, list[Allocation]] = {}
        for tier, allocation in candidates:
            self._of.setdefault(tier, []).append(allocation)
        self._tiers = sorted(self._of)
        self._on: dict[str, dict[str, list[tuple[Candidate, int]]]] = {}
        """Model to node to who holds how many of its slots, in order; of the tiers looked at."""
        self._counts: dict[str, dict[str, int]] = {}
        """The sums of these."""
        self._slots: dict[str, int] = {}
        self._heaps: dict[tuple[str, int, Tier], list[tuple[Cost, str]]] = {}
        self._vain: set[tuple[object, ...]] = set()

    def _look(self, tier: Tier) -> None:
        """Work out what those of a tier hold and lose, once: the last ones are seldom needed."""
        turn, state = self.turn, self.turn.state
        found = [
            (Candidate(tier, *loss(turn, a), a.allocation_id), shares_of(state, a))
            for a in self._of.pop(tier, ())
        ]
        found.sort()
        for candidate, shares in found:
            for node_id, model, count in shares:
                counts = self._counts.setdefault(model, {})
                counts[node_id] = counts.get(node_id, 0) + count
                self._slots[model] = self._slots.get(model, 0) + count
                self._on.setdefault(model, {}).setdefault(node_id, []).append((candidate, count))

    def choose(
        self, room: Room, allocation: Allocation, below: Tier | None = None
    ) -> list[Allocation]:
        """Who yields, of tiers `below` one, so that an allocation fits in a room; nobody, if it
        would not even then."""
        turn, size, resources = self.turn, allocation.least, allocation.resources
        key = (size, resources.wish, resources.single_node, *resources.avoid_nodes,
               *resources.node_labels.items(), below)  # fmt: skip
        if key in self._vain:
            return []
        may = turn.may(resources)
        for tier in self._tiers:
            if below is not None and tier >= below:
                break
            self._look(tier)
            best: tuple[int, Cost, list[str]] | None = None
            for model, nodes in self._on.items():
                enough = room.free(turn.pool, model) + self._slots[model] >= size
                if not enough or not suits(resources, model):
                    continue
                found = self._one(room, model, size, tier, may)
                if found is None and not resources.single_node:
                    found = self._several(room, model, nodes, size, tier, may)
                # free slots alone are no help: they were looked at before
                if found is not None and found[2] and (best is None or found < best):
                    best = found
            if best is not None:
                victims = [turn.state.allocations[name] for name in best[2]]
                if self._helps(room, allocation, victims):
                    return victims
        self._vain.add(key)
        return []

    def _helps(self, room: Room, allocation: Allocation, victims: list[Allocation]) -> bool:
        room = room.fork()
        for victim in victims:
            room.give(shares_of(self.turn.state, victim))
        return bool(self.turn.find(allocation, room))

    def _one(
        self, room: Room, model: str, size: int, tier: Tier, may: Callable[[str], bool]
    ) -> tuple[int, Cost, list[str]] | None:
        """On the node where it costs least. What that is was worked out once, and is looked at
        anew before it counts: others may have been chosen meanwhile."""
        key, nodes = (model, size, tier), self._on[model]
        if key not in self._heaps and size == 1:  # no one on a node costs less than its first
            firsts = ((held[0][0], node) for node, held in nodes.items())
            self._heaps[key] = [((f.tier, f.loss), node) for f, node in firsts if f.tier <= tier]
            heapify(self._heaps[key])
        elif key not in self._heaps:
            counts = self._counts[model]
            able = (node for node in nodes if room.at(node, model) + counts[node] >= size)
            picks = ((self._pick(room, model, node, size, tier), node) for node in able)
            self._heaps[key] = [(pick.cost, n) for pick, n in picks if pick and pick.slots >= size]
            heapify(self._heaps[key])
        heap, passed = self._heaps[key], list[tuple[Cost, str]]()
        found = None
        while heap and found is None:
            cost, node = heap[0]
            pick = self._pick(room, model, node, size, tier)
            if pick is None or pick.slots < size:
                heappop(heap)
            elif pick.cost != cost:
                heappop(heap)
                heappush(heap, (pick.cost, node))
            elif may(node) and self.turn.able(node):
                found = (1, pick.cost, pick.names)
            else:
                passed.append(heappop(heap))
        for entry in passed:
            heappush(heap, entry)
        return found

    def _several(
        self,
        room: Room,
        model: str,
        nodes: Mapping[str, list[tuple[Candidate, int]]],
        size: int,
        tier: Tier,
        may: Callable[[str], bool],
    ) -> tuple[int, Cost, list[str]] | None:
        """On the nodes that give most, and the last of it where that costs least."""
        free = {spot.node_id: spot.free for spot in room.largest(self.turn.pool, model)}
        whole = {node: Pick(((), 0.0), [], slots) for node, slots in free.items() if may(node)}
        for node in filter(may, nodes):
            pick = self._pick(room, model, node, size, tier)
            if pick is not None:
                whole[node] = pick
        order = sorted(whole, key=lambda node: (-whole[node].slots, whole[node].cost))
        names: dict[str, None] = {}
        worst: Tier = ()
        left, count, lost = size, 0, 0.0
        for at, node in enumerate(order):
            pick = self._pick(room, model, node, left, tier, names)
            if pick is None:
                continue
            if pick.slots >= left:
                rest = (n for n in order[at:] if whole[n].slots >= left)
                picks = (self._pick(room, model, n, left, tier, names) for n in rest)
                pick = min(p for p in picks if p is not None and p.slots >= left)
            names.update(dict.fromkeys(pick.names))
            left, count = left - pick.slots, count + 1
            worst, lost = max(worst, pick.cost[0]), lost + pick.cost[1]
            if left <= 0:
                return count, (worst, lost), list(names)
        return None

    def _pick(
        self,
        room: Room,
        model: str,
        node: str,
        size: int,
        tier: Tier,
        names: Mapping[str, None] | None = None,
    ) -> Pick | None:
        """Who yields on a node for so many slots, or for as many as there are, if `names` yield
        anyway. None: nothing would be free."""
        entries, asked = self._on[model].get(node, ()), self.turn.asked
        have = room.at(node, model)
        if names:
            have += sum(count for candidate, count in entries if candidate.name in names)
        over: dict[str, int] = {}
        picks: list[tuple[Candidate, int]] = []
        for entry in entries:
            candidate, count = entry
            if have >= size or candidate.tier > tier:
                break
            if candidate.name in asked or (names and candidate.name in names):
                continue
            if self._spare is not None and not self._spares(candidate.name, over, names or ()):
                continue
            picks.append(entry)
            have += count
        if not have:
            return None
        if len(picks) == 1:  # as for most
            candidate = picks[0][0]
            return Pick((candidate.tier, candidate.loss), [candidate.name], have)
        for pick in reversed(picks[:-1]):
            if have - pick[1] >= size:
                have -= pick[1]
                picks.remove(pick)
        worst = max((candidate.tier for candidate, _ in picks), default=())
        lost = sum(candidate.loss for candidate, _ in picks)
        return Pick((worst, lost), [candidate.name for candidate, _ in picks], have)

    def _spares(self, name: str, over: dict[str, int], names: Iterable[str]) -> bool:
        """Whether the owner of one can spare its slots, besides those of `names`; counted in
        `over`."""
        turn = self.turn
        victim = turn.state.allocations[name]
        owner = turn.owner(victim)
        if owner not in over and self._spare is not None:
            taken = (turn.state.allocations[other] for other in names)
            mine = sum(a.slots for a in taken if turn.owner(a) == owner)
            over[owner] = self._spare(owner) - mine
        if over[owner] <= 0:
            return False
        over[owner] -= victim.slots
        return True


def scale(allocation: Allocation) -> int:
    """How many times as many are compared for a gang as for a small one."""
    return 1 << max(0, (allocation.least - 1) // SMALL).bit_length()


def compared(
    turn: Turn,
    first: Iterable[Allocation],
    tier: Callable[[Allocation], Tier | None],
    times: int,
) -> list[tuple[Tier, Allocation]]:
    """The `first` that run, and all others on the nodes of some of them. `tier` tells who may
    yield, and how soon."""
    state = turn.state
    names: dict[str, None] = {}
    nodes: dict[str, None] = {}
    for allocation in islice(first, times * LOOK):
        names[allocation.allocation_id] = None
        if len(nodes) < times * WHOLE:
            nodes.update((run.placement.node_id, None) for run in allocation.runs.values())
    if len(names) == times * LOOK:
        for node in map(state.nodes.get, nodes):
            names.update(dict.fromkeys(node.held.values() if node else ()))
    known = filter(None, map(reader(state.allocations), names))
    tiers = ((tier(allocation), allocation) for allocation in known)
    return [(at, allocation) for at, allocation in tiers if at is not None]


def shares_of(state: State, allocation: Allocation) -> list[Share]:
    """The slots that become free when an allocation ends."""
    shares: list[Share] = []
    for run in allocation.runs.values():
        node = state.nodes.get(run.placement.node_id)
        if run.outcome is not None or node is None or node.state is not NodeState.READY:
            continue
        if not node.aside and not allocation.resources.mixed_types:  # all are of one model
            shares.append((node.node_id, allocation.model, len(run.placement.slots)))
            continue
        models = [node.model_of(n) for n in run.placement.slots if n not in node.aside]
        shares += [(node.node_id, m, models.count(m)) for m in dict.fromkeys(models)]
    return shares


def may_yield(turn: Turn, allocation: Allocation, after: float | None = None) -> bool:
    """Whether an allocation's slots may be asked back: `after` it ran so long, or `min_run`."""
    ran = turn.now - allocation.granted_at
    return (
        allocation.state is AllocationState.GRANTED
        and allocation.resources.preemptible
        and ran >= (turn.config.min_run if after is None else after)
    )


def loss(turn: Turn, allocation: Allocation) -> tuple[float, float]:
    """What yielding costs, to sort by: work since the last checkpoint, then age."""
    return (turn.now - allocation.saved_at) * allocation.slots, -allocation.number
