"""Slots in proportion to weights, among experiments or workspaces (max-min fairness: what one
cannot use goes to the others; Ghodsi et al., Dominant Resource Fairness, NSDI 2011, with one
resource).

The line is in the order of slots held per weight. A group that is owed slots gets them back from
groups above their share, the youngest first. A gang that is larger than its group's share starts
when slots lie idle, and keeps its place reserved, but nobody yields for it.
"""

from collections.abc import Iterator
from heapq import merge
from itertools import chain

from shoal_scheduler.core.ahead import may_yield
from shoal_scheduler.core.batches import batch_of
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
        self._found: list[str] = []
        """Those that may yield, of owners above their share, the youngest first, as far as they
        were looked for: they are looked for once for all heads."""
        self._rest = self._look()

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
        over: dict[str, int] = {}
        for name in chain(list(self._found), self._further()):
            victim = self.turn.state.allocations[name]
            owner = self.turn.owner(victim)
            if owner not in over:
                over[owner] = self._over(owner)
            if over[owner] > 0 and victim.stop_reason is None:
                over[owner] -= victim.slots
                yield victim

    def _further(self) -> Iterator[str]:
        for name in self._rest:
            self._found.append(name)
            yield name

    def _look(self) -> Iterator[str]:
        turn, index = self.turn, self.turn.state.index
        longest = next(turn.running(), None)
        if longest is None or turn.now - longest.granted_at < turn.config.min_run:
            return
        owners = (name for (name,) in index.holders.get(turn.pool, ()))
        lines = [reversed(index.members[(turn.pool, n)]) for n in owners if self._over(n) > 0]
        for entry in merge(*lines, reverse=True):
            if may_yield(turn, turn.state.allocations[entry.allocation_id]):
                yield entry.allocation_id

    def _over(self, owner: str) -> int:
        """Slots that an owner holds above its share."""
        held = self.turn.state.index.staying.get((self.turn.pool, owner), 0)
        return held - self.shares.get(owner, 0)

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
    index, state, pool = turn.state.index, turn.state, turn.pool
    asks: dict[str, int] = {}
    weights: dict[str, float] = {}
    ages: dict[str, float] = {}
    by_experiment = turn.config.share_by == "experiment"
    for _, number, _, batch, ready in index.heads.get(pool, ()):
        name = batch.experiment_id if by_experiment else batch.workspace
        if name in asks:
            asks[name] += ready * batch.slots
            ages[name] = min(ages[name], number)
        else:
            asks[name], ages[name] = ready * batch.slots, number
            weights[name] = index.weight(batch)
    for (name,) in index.holders.get(pool, ()):
        oldest = index.members[(pool, name)].first()
        if oldest is None:
            continue
        held = index.staying.get((pool, name), 0)
        if name in asks:
            asks[name] += held
            ages[name] = min(ages[name], oldest.number)
        else:
            asks[name], ages[name] = held, oldest.number
            weights[name] = index.weight(batch_of(state.allocations[oldest.allocation_id], pool))
    order = sorted(asks, key=lambda name: (ages[name], name))
    return {name: asks[name] for name in order}, weights
