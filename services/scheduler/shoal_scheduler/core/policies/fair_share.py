"""Slots in proportion to weights, among experiments or workspaces (max-min fairness: what one
cannot use goes to the others; Ghodsi et al., Dominant Resource Fairness, NSDI 2011, with one
resource: slots count alike, whatever their model).

The line is in the order of slots held per weight. A group that is owed slots gets them back from
groups above their share: who loses the least work first. A gang that is larger than its group's
share starts when slots lie idle, and keeps its place reserved, but nobody yields for it.
"""

from collections.abc import Iterable, Mapping
from functools import partial

from shoal_scheduler.core.asks import Ask
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.room import Room
from shoal_scheduler.core.serve import serve
from shoal_scheduler.core.tables import reader
from shoal_scheduler.core.turn import Turn
from shoal_scheduler.core.yielding import Candidate, Tier, Yielders, compared, may_yield, scale

_LAST = float("inf")


class FairShare:
    """Shares by weight."""

    def run(self, turn: Turn) -> None:
        """One pass. What changed about the asks is worked out each second, asked for or not: else
        owners that came and went while there was room would be kept until it is scarce."""
        if turn.thorough:
            _asks(turn)
        serve(turn, _Rules(turn))


class _Rules:
    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._shares: dict[str, int] | None = None
        self._yielders: dict[int, Yielders] = {}

    @property
    def shares(self) -> dict[str, int]:
        if self._shares is None:
            self._shares = shares(self.turn)
        return self._shares

    def owed(self, allocation: Allocation) -> bool:
        held = self._held(allocation)
        return not held or self._fits(held, allocation)

    def smaller(self, allocation: Allocation, other: Allocation) -> bool:
        owner = self.turn.owner(other)
        return owner == self.turn.owner(allocation) or _over(self.turn, self.shares, owner) > 0

    def victims(self, allocation: Allocation, room: Room) -> list[Allocation]:
        if not self._fits(self._held(allocation), allocation):
            return []
        times = scale(allocation)
        if times not in self._yielders:
            self._yielders[times] = Yielders(
                self.turn, self._able(times), partial(_over, self.turn, self.shares)
            )
        return self._yielders[times].choose(room, allocation)

    def _able(self, times: int) -> list[Candidate]:
        """Those of owners above their share that may yield, and got their slots last."""
        turn, index = self.turn, self.turn.state.index
        pool, shares, staying = turn.pool, self.shares, reader(index.staying)
        above = {
            name: None
            for (name,) in index.holders.get(pool, ())
            if (staying((pool, name)) or 0) > shares.get(name, 0)
        }

        def tier(allocation: Allocation) -> Tier | None:
            return () if turn.owner(allocation) in above and may_yield(turn, allocation) else None

        line = index.running.get(pool)
        last = line.back((turn.now - turn.config.min_run, _LAST)) if above and line else ()
        ran = (turn.state.allocations[entry.allocation_id] for entry in last)
        return compared(turn, (a for a in ran if tier(a) is not None), tier, times)

    def _held(self, allocation: Allocation) -> int:
        owner = self.turn.owner(allocation)
        staying = self.turn.state.index.staying.get((self.turn.pool, owner), 0)
        return staying + self.turn.promised(owner)

    def _fits(self, held: int, allocation: Allocation) -> bool:
        return held + allocation.least <= self.shares.get(self.turn.owner(allocation), 0)


def _over(turn: Turn, shares: Mapping[str, int], owner: str) -> int:
    """Slots that an owner holds above its share."""
    return turn.state.index.staying.get((turn.pool, owner), 0) - shares.get(owner, 0)


def shares(turn: Turn) -> dict[str, int]:
    """Owner to the slots of the pool that it is owed: by weight, never more than it asks for.

    Whole slots: what rounding leaves goes to the first in line.
    """
    room = turn.room
    asks = list(_asks(turn))
    capacity = float(sum(room.size(turn.pool, model) for model in room.models(turn.pool)))
    fair = {ask.owner: 0.0 for ask in asks}
    hungry = asks
    while hungry and capacity > 0:
        total = sum([ask.weight for ask in hungry])
        sated: list[Ask] = []
        more: list[Ask] = []
        for ask in hungry:
            enough = ask.slots <= capacity * ask.weight / total + 1e-9
            (sated if enough else more).append(ask)
        if not sated:
            fair.update([(ask.owner, capacity * ask.weight / total) for ask in hungry])
            break
        fair.update([(ask.owner, ask.slots) for ask in sated])
        capacity -= sum([ask.slots for ask in sated])
        hungry = more
    whole = {name: int(value + 1e-9) for name, value in fair.items()}
    spare = round(sum(fair.values())) - sum(whole.values())
    for ask in asks:
        if spare <= 0:
            break
        if whole[ask.owner] < ask.slots:
            whole[ask.owner] += 1
            spare -= 1
    return whole


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
