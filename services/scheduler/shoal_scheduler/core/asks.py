"""What each owner asks for in the pools of `fair_share`, kept in line: few change between two
passes, and only these are worked out anew."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from shoal_scheduler.core.tables import Fork, Line, add, change, settle

Kind = tuple[int, float]
"""Slots and weight."""


class Ask(NamedTuple):
    """What an owner holds in a pool and could use besides."""

    age: float
    """The number of its oldest."""
    owner: str
    slots: int
    weight: float

    @property
    def kind(self) -> Kind:
        """What its share depends on, but for the slots that rounding leaves."""
        return self.slots, self.weight


class Asks:
    """The lines, by pool."""

    def __init__(self) -> None:
        self._lines: dict[str, Line[Ask]] = {}
        self._known: dict[tuple[str, str], Ask] = {}
        self._stale: dict[tuple[str, str], None] = {}
        """Pools and owners whose ask may be another one."""
        self._kinds: dict[str, dict[Kind, int]] = {}
        """Pool to how many asks of each kind it has: there are few kinds, however many owners."""

    def fork(self) -> "Asks":
        """Asks that begin as these are."""
        asks = Asks.__new__(Asks)
        asks._lines = Fork(self._lines, Line.fork)
        asks._known, asks._stale = Fork(self._known), Fork(self._stale)
        asks._kinds = Fork(self._kinds, dict)
        return asks

    def settle(self, base: "Asks") -> None:
        """Change the asks that these are a fork of as these were."""
        settle(self, base, ("_lines", "_known", "_stale", "_kinds"))

    def mark(self, pool: str, owner: str) -> None:
        """An owner's ask may be another one."""
        self._stale[pool, owner] = None

    def __len__(self) -> int:
        """Owners that are known, or are to be worked out."""
        return len(dict.fromkeys((*self._known, *self._stale)))

    def line(self, pool: str, work_out: Callable[[str], Ask | None]) -> Iterable[Ask]:
        """All of a pool, the oldest first. `work_out` gives an owner's; None: there is none."""
        for owner in [name for where, name in self._stale if where == pool]:
            del self._stale[pool, owner]
            old, new = self._known.pop((pool, owner), None), work_out(owner)
            if old is not None:
                change(self._lines, pool).remove(old)
                self._count(pool, old.kind, -1)
            if new is not None:
                self._known[pool, owner] = new
                add(self._lines, pool, new)
                self._count(pool, new.kind, 1)
        return self._lines.get(pool, ())

    def kinds(self, pool: str) -> list[tuple[Kind, int]]:
        """How many asks of each kind `line` gave."""
        return sorted(self._kinds.get(pool, {}).items())

    def of(self, pool: str, owner: str) -> Ask | None:
        """An owner's ask, as `line` gave it."""
        return self._known.get((pool, owner))

    def _count(self, pool: str, kind: Kind, more: int) -> None:
        if pool not in self._kinds:
            self._kinds[pool] = {}
        kinds = change(self._kinds, pool)
        kinds[kind] = kinds.get(kind, 0) + more
        if not kinds[kind]:
            del kinds[kind]
