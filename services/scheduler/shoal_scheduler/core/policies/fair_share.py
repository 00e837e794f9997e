"""Slots in proportion to weights, among experiments or workspaces (max-min fairness: what one
cannot use goes to the others; Ghodsi et al., Dominant Resource Fairness, NSDI 2011, with one
resource: slots count alike, whatever their model).

The line is in the order of slots held per weight. A group that is owed slots gets them back from
groups above their share: who loses the least work first. A gang that is larger than its group's
share starts when slots lie idle, and keeps its place reserved, but nobody yields for it.
"""

from collections.abc import Iterable
from itertools import islice

from shoal_scheduler.core.asks import Ask
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.room import Room
from shoal_scheduler.core.serve import serve
from shoal_scheduler.core.tables import reader
from shoal_scheduler.core.turn import Turn
from shoal_scheduler.core.yielding import Tier, Yielders, compared, may_yield, scale

_LAST = float("inf")
STARTS = 4
"""Who had to start so often stays `STARTS` times `min_run`, and no longer with further ones."""


class FairShare:
    """Shares by weight."""

    def run(self, turn: Turn) -> None:
        """One pass. What changed about the asks is worked out each second, asked for or not: else
        owners that came and went while there was room would be kept until it is scarce."""
        if turn.thorough:
            _asks(turn)
        serve(turn, _Rules(turn))


class Shares:
    """The slots of the pool that each owner is owed: by weight, never more than it asks for.

    Whole slots: what rounding leaves goes to the first in line. Who asks for as much with as much
    weight is owed as much, so that each kind of ask is worked out once.
    """

    def __init__(self, turn: Turn) -> None:
        room, line = turn.room, _asks(turn)
        self._asks, self._pool = turn.state.index.asks, turn.pool
        kinds = self._asks.kinds(turn.pool)
        capacity = float(sum(room.size(turn.pool, model) for model in room.models(turn.pool)))
        fair = {kind: 0.0 for kind, _ in kinds}
        hungry = kinds
        while hungry and capacity > 0:
            level = capacity / sum(weight * count for (_, weight), count in hungry)
            more = [one for one in hungry if one[0][0] > level * one[0][1] + 1e-9]
            if len(more) == len(hungry):
                fair.update({kind: level * kind[1] for kind, _ in hungry})
                break
            sated = [one for one in hungry if one[0][0] <= level * one[0][1] + 1e-9]
            fair.update({kind: float(kind[0]) for kind, _ in sated})
            capacity -= sum(slots * count for (slots, _), count in sated)
            hungry = more
        self._whole = {kind: int(value + 1e-9) for kind, value in fair.items()}
        spare = sum((fair[kind] - self._whole[kind]) * count for kind, count in kinds)
        short = (ask.owner for ask in line if self._whole[ask.kind] < ask.slots)
        self._first = dict.fromkeys(islice(short, max(0, round(spare))))

    def of(self, owner: str) -> int:
        """What an owner is owed."""
        ask = self._asks.of(self._pool, owner)
        return self._whole[ask.kind] + (owner in self._first) if ask is not None else 0


class _Rules:
    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._shares: Shares | None = None
        self._yielders: dict[int, Yielders] = {}

    @property
    def shares(self) -> Shares:
        if self._shares is None:
            self._shares = Shares(self.turn)
        return self._shares

    def owed(self, allocation: Allocation) -> bool:
        held = self._held(allocation)
        return not held or self._fits(held, allocation)

    def smaller(self, allocation: Allocation, other: Allocation) -> bool:
        owner = self.turn.owner(other)
        return owner == self.turn.owner(allocation) or self._over(owner) > 0

    def victims(self, allocation: Allocation, room: Room) -> list[Allocation]:
        if not self._fits(self._held(allocation), allocation):
            return []
        times = scale(allocation)
        if times not in self._yielders:
            self._yielders[times] = Yielders(self.turn, self._able(times), self._over)
        return self._yielders[times].choose(room, allocation)

    def _able(self, times: int) -> list[tuple[Tier, Allocation]]:
        """Those of owners above their share that may yield, and got their slots last."""
        turn, index = self.turn, self.turn.state.index
        pool, shares, staying = turn.pool, self.shares, reader(index.staying)
        above = {
            name: None
            for (name,) in index.holders.get(pool, ())
            if (staying((pool, name)) or 0) > shares.of(name)
        }

        def tier(allocation: Allocation) -> Tier | None:
            able = may_yield(turn, allocation, _stay(turn, allocation))
            return () if able and turn.owner(allocation) in above else None

        line = index.running.get(pool)
        last = line.back((turn.now - turn.config.min_run, _LAST)) if above and line else ()
        ran = (turn.state.allocations[entry.allocation_id] for entry in last)
        return compared(turn, (a for a in ran if tier(a) is not None), tier, times)

    def _held(self, allocation: Allocation) -> int:
        owner = self.turn.owner(allocation)
        staying = self.turn.state.index.staying.get((self.turn.pool, owner), 0)
        return staying + self.turn.promised(owner)

    def _fits(self, held: int, allocation: Allocation) -> bool:
        return held + allocation.least <= self.shares.of(self.turn.owner(allocation))

    def _over(self, owner: str) -> int:
        """Slots that an owner holds above its share."""
        return self.turn.state.index.staying.get((self.turn.pool, owner), 0) - self.shares.of(owner)


def _stay(turn: Turn, allocation: Allocation) -> float:
    """Seconds for which slots are kept at least: longer each time that it had to start anew, so
    that who starts on idle slots above its share, and has lost least then, is not moved forever."""
    return turn.config.min_run * min(allocation.task.attempt, STARTS)


def _asks(turn: Turn) -> Iterable[Ask]:
    """What all owners ask for, the oldest first."""
    return turn.state.index.asks.line(turn.pool, lambda owner: _ask(turn, owner))


def _ask(turn: Turn, owner: str) -> Ask | None:
    """What an owner asks for; None: it holds nothing, and nothing of it may start."""
    index, pool = turn.state.index, turn.pool
    age, weight, slots = float("inf"), 0.0, index.staying.get((pool, owner), 0)
    for head in index.heads_of(pool, owner):
        slots += head.ready * head.batch.slots
        if head.number < age:
            age, weight = head.number, index.weight(head.batch)
    members = index.members.get((pool, owner))
    oldest = members.first() if members is not None else None
    if oldest is not None and oldest.number < age:
        age = oldest.number
        weight = index.weight_of(turn.state.allocations[oldest.allocation_id], pool)
    return Ask(age, owner, slots, weight) if weight else None
