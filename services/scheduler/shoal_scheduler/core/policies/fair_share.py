"""Slots in proportion to weights, among experiments or workspaces (max-min fairness: what one
cannot use goes to the others; Ghodsi et al., Dominant Resource Fairness, NSDI 2011, with one
resource).

The line is in the order of slots held per weight. A group that is owed slots gets them back from
groups above their share, the youngest first. A gang that is larger than its group's share starts
when slots lie idle, and keeps its place reserved, but nobody yields for it.
"""

from collections.abc import Iterator

from shoal_scheduler.core.ahead import may_yield
from shoal_scheduler.core.index import batch_of
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.serve import serve
from shoal_scheduler.core.turn import Turn


class FairShare:
    """Shares by weight."""

    def run(self, turn: Turn) -> None:
        """One pass."""
        serve(turn, _Rules(turn))


class _Rules:
    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._shares: dict[str, int] | None = None
        self._seen = -1
        self._over: dict[str, int] = {}
        self._above: list[Allocation] = []

    @property
    def shares(self) -> dict[str, int]:
        if self._shares is None:
            self._shares = shares(self.turn)
        return self._shares

    def owed(self, allocation: Allocation) -> bool:
        held = self._held(allocation)
        return not held or self._fits(held, allocation)

    def victims(self, allocation: Allocation) -> Iterator[Allocation]:
        if not self._fits(self._held(allocation), allocation):
            return
        if self._seen != self.turn.leavers:
            self._seen = self.turn.leavers
            self._look()
        over = dict(self._over)
        for victim in self._above:
            name = self.turn.owner(victim)
            if over[name] > 0:
                over[name] -= victim.slots
                yield victim

    def _look(self) -> None:
        """Note who holds more than its share, and what of it may yield, the youngest first."""
        turn, index = self.turn, self.turn.state.index
        self._over, found = {}, []
        for (name,) in index.holders.get(turn.pool, ()):
            over = index.staying.get((turn.pool, name), 0) - self.shares.get(name, 0)
            if over > 0:
                self._over[name] = over
                members = index.members[(turn.pool, name)]
                found += [turn.state.allocations[entry.allocation_id] for entry in members]
        able = (a for a in found if may_yield(turn, a))
        self._above = sorted(able, key=lambda a: -a.number)

    def _held(self, allocation: Allocation) -> int:
        owner = self.turn.owner(allocation)
        staying = self.turn.state.index.staying.get((self.turn.pool, owner), 0)
        return staying + self.turn.promised(owner)

    def _fits(self, held: int, allocation: Allocation) -> bool:
        return held + allocation.least <= self.shares.get(self.turn.owner(allocation), 0)


def shares(turn: Turn) -> dict[str, int]:
    """Owner to the slots of the pool that it is owed: by weight, never more than it asks for.

    Whole slots: what rounding leaves goes to the first in line.
    """
    asks, weights = _asks(turn)
    room = turn.room
    capacity = float(sum(room.size(turn.pool, model) for model in room.models(turn.pool)))
    fair = dict.fromkeys(asks, 0.0)
    hungry = dict(asks)
    while hungry and capacity > 0:
        total = sum(weights[name] for name in hungry)
        sated = [n for n in hungry if hungry[n] <= capacity * weights[n] / total + 1e-9]
        if not sated:
            for name in hungry:
                fair[name] = capacity * weights[name] / total
            break
        for name in sated:
            fair[name] = hungry[name]
        capacity -= sum(hungry.pop(name) for name in sated)
    whole = {name: int(value + 1e-9) for name, value in fair.items()}
    spare = round(sum(fair.values())) - sum(whole.values())
    for name in asks:
        if spare > 0 and whole[name] < asks[name]:
            whole[name] += 1
            spare -= 1
    return whole


def _asks(turn: Turn) -> tuple[dict[str, int], dict[str, float]]:
    """What each owner holds and could use besides, and its weight; the oldest first."""
    index, state = turn.state.index, turn.state
    asks: dict[str, int] = {}
    weights: dict[str, float] = {}
    ages: dict[str, float] = {}
    for (name,) in index.holders.get(turn.pool, ()):
        oldest = next(iter(index.members[(turn.pool, name)]))
        batch = batch_of(state.allocations[oldest.allocation_id], turn.pool)
        asks[name] = index.staying.get((turn.pool, name), 0)
        weights[name], ages[name] = index.weight(batch), oldest.number
    for entry in index.heads.get(turn.pool, ()):
        batch = batch_of(state.allocations[entry.allocation_id], turn.pool)
        name = turn.owner_of(batch)
        asks[name] = asks.get(name, 0) + index.asks(batch)
        weights[name] = index.weight(batch)
        ages[name] = min(ages.get(name, entry.number), entry.number)
    order = sorted(asks, key=lambda name: (ages[name], name))
    return {name: asks[name] for name in order}, weights
