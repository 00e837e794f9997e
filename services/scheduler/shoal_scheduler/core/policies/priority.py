"""The smaller number first, then the older. Who waits gains on others if the pool has ageing.

With preemption the least important yield, of equals those who lose the least work, and only if that
makes room. Without, the first in line has its place reserved on predicted ends, and others start
beside it (EASY backfill: Lifka, The ANL/IBM SP scheduling system, 1995).
"""

from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.room import Room
from shoal_scheduler.core.serve import serve
from shoal_scheduler.core.turn import Turn
from shoal_scheduler.core.yielding import Tier, Yielders, compared, may_yield, scale


class Priority:
    """Priorities 1 to 99."""

    def run(self, turn: Turn) -> None:
        """One pass."""
        serve(turn, _Rules(turn))


class _Rules:
    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._as_filed = not turn.state.index.shares
        """Whether priorities are those of the files."""
        self._yielders: dict[int, Yielders] = {}

    def owed(self, allocation: Allocation) -> bool:
        return True

    def smaller(self, allocation: Allocation, other: Allocation) -> bool:
        return self._rank(other) <= self._rank(allocation)

    def victims(self, allocation: Allocation, room: Room) -> list[Allocation]:
        turn, times = self.turn, scale(allocation)
        if times not in self._yielders:
            candidates = compared(turn, turn.running(), self._tier, times)
            self._yielders[times] = Yielders(turn, candidates)
        return self._yielders[times].choose(room, allocation, self._rank(allocation))

    def _tier(self, allocation: Allocation) -> Tier | None:
        return self._rank(allocation) if may_yield(self.turn, allocation) else None

    def _rank(self, allocation: Allocation) -> Tier:
        if self._as_filed:
            return (-float(allocation.resources.priority),)
        return (-float(self.turn.state.index.priority(allocation)),)
