"""The smaller number first, then the older. Who waits gains on others if the pool has ageing.

With preemption the least important yield, of equals those who lose the least work, and only if that
makes room. Without, the first in line has its place reserved on predicted ends, and others start
beside it (EASY backfill: Lifka, The ANL/IBM SP scheduling system, 1995).
"""

from collections.abc import Iterator
from itertools import islice, takewhile

from shoal_scheduler.core.ahead import loss, may_yield
from shoal_scheduler.core.index import Entry
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.serve import serve
from shoal_scheduler.core.turn import Turn

LOOK = 1024
"""How many of the least important that run, as their files say, are compared by what they lose."""


class Priority:
    """Priorities 1 to 99."""

    def run(self, turn: Turn) -> None:
        """One pass."""
        serve(turn, _Rules(turn))


class _Rules:
    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._lower: dict[tuple[int, int], list[Allocation]] = {}
        """Priority, and how many are leaving, to those below that may yield."""

    def owed(self, allocation: Allocation) -> bool:
        return True

    def victims(self, allocation: Allocation) -> list[Allocation]:
        turn, index = self.turn, self.turn.state.index
        key = (index.priority(allocation), turn.leavers)
        if key not in self._lower:
            running = (turn.state.allocations[e.allocation_id] for e in self._below(key[0]))
            found = [
                (-index.priority(a), loss(turn, a), a)
                for a in running
                if index.priority(a) > key[0] and may_yield(turn, a)
            ]
            self._lower[key] = [victim for _, _, victim in sorted(found, key=lambda one: one[:2])]
        return self._lower[key]

    def _below(self, priority: int) -> Iterator[Entry]:
        line = self.turn.state.index.running.get(self.turn.pool, ())
        return islice(takewhile(lambda entry: -entry.rank > priority, line), LOOK)
