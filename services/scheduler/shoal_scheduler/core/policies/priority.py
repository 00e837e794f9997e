"""The smaller number first, then the older. Who waits gains on others if the pool has ageing.

With preemption the least important yield, of equals those who lose the least work, and only if that
makes room. Without, the first in line has its place reserved on predicted ends, and others start
beside it (EASY backfill: Lifka, The ANL/IBM SP scheduling system, 1995).
"""

from collections.abc import Iterator
from itertools import islice, takewhile

from shoal_scheduler.core.ahead import loss, may_yield
from shoal_scheduler.core.batches import Entry
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.serve import serve
from shoal_scheduler.core.turn import Turn

LOOK = 1024
"""How many of the least important that run are compared by what they lose."""


class Priority:
    """Priorities 1 to 99."""

    def run(self, turn: Turn) -> None:
        """One pass."""
        serve(turn, _Rules(turn))


class _Rules:
    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._lower: dict[int, list[str]] = {}
        """Priority to those below that may yield."""

    def owed(self, allocation: Allocation) -> bool:
        return True

    def victims(self, allocation: Allocation) -> Iterator[Allocation]:
        turn, allocations = self.turn, self.turn.state.allocations
        priority = turn.state.index.priority(allocation)
        if priority not in self._lower:
            below = ((e.rank, allocations[e.allocation_id]) for e in self._below(priority))
            found = [
                (rank, loss(turn, a), a.allocation_id) for rank, a in below if may_yield(turn, a)
            ]
            self._lower[priority] = [name for _, _, name in sorted(found)]
        lower = (turn.state.allocations[name] for name in self._lower[priority])
        return (a for a in lower if a.stop_reason is None)

    def _below(self, priority: int) -> Iterator[Entry]:
        line = self.turn.state.index.running.get(self.turn.pool, ())
        return islice(takewhile(lambda entry: -entry.rank > priority, line), LOOK)
