"""What may start in each pool and has not: by size, model and memory, as machines are asked for.

Batches that share a limit (an experiment's `max_slots`, a workspace's quota) count together, the
older first, whatever pools they wait in. That is worked out anew only for limits that something
changed about.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from shoal_scheduler.core.batches import Batch
from shoal_scheduler.core.tables import Fork, change, settle

Wants = dict[tuple[int, str, int], int]
"""Slots, their model and memory to the number of gangs."""
Owner = tuple[str, str]
"""`e`xperiment or `w`orkspace, and its id."""


class Claim(NamedTuple):
    """A batch that may start, and what limits it."""

    number: float
    batch: Batch
    waiting: int
    left: tuple[tuple[Owner, float], ...]
    """Owners to the slots that may be added to what they hold."""


class Wanted:
    """The wants, by pool."""

    def __init__(self) -> None:
        self.pools: dict[str, Wants] = {}
        self._counts: dict[Batch, int] = {}
        """How many of a batch count."""
        self._stale: dict[Owner, None] = {}
        """Limits to be shared out anew."""

    def fork(self) -> "Wanted":
        """Wants that begin as these are."""
        wanted = Wanted.__new__(Wanted)
        wanted.pools = Fork(self.pools, dict)
        wanted._counts, wanted._stale = Fork(self._counts), Fork(self._stale)
        return wanted

    def settle(self, base: "Wanted") -> None:
        """Change the wants that these are a fork of as these were."""
        settle(self, base, ("pools", "_counts", "_stale"))

    def mark(self, owner: Owner) -> None:
        """What shares an owner's limit may be counted otherwise."""
        self._stale[owner] = None

    def count(self, batch: Batch, ready: int) -> bool:
        """So many of a batch could start, were there room; whether that is news. What was widened
        counts only in its last pool, and labels start no machine."""
        more = ready - self._counts.get(batch, 0)
        if not more or batch.labels or not batch.last:
            return False
        if ready:
            self._counts[batch] = ready
        else:
            del self._counts[batch]
        if batch.pool not in self.pools:
            self.pools[batch.pool] = {}
        wants = change(self.pools, batch.pool)
        key = (batch.slots, batch.slot_type, batch.slot_memory)
        wants[key] = wants.get(key, 0) + more
        if not wants[key]:
            del wants[key]
        return True

    def share_out(self, claims: Callable[[Owner], Iterable[Claim]]) -> list[str]:
        """Count anew what shares a limit that was marked; `claims` gives all that do. The pools in
        which other gangs are wanted now."""
        pools: dict[str, None] = {}
        for owner in sorted(self._stale):
            del self._stale[owner]
            left: dict[Owner, float] = {}
            for claim in sorted(claims(owner)):
                slots = claim.batch.slots
                for limit, most in claim.left:
                    left.setdefault(limit, most)
                rest = min((left[limit] for limit, _ in claim.left), default=float("inf"))
                ready = int(max(0, min(claim.waiting, rest // slots)))
                for limit, _ in claim.left:
                    left[limit] -= ready * slots
                if self.count(claim.batch, ready):
                    pools[claim.batch.pool] = None
        return list(pools)
