"""What each owner asks for in the pools of `fair_share`, kept in line: few change between two
passes, and only these are worked out anew."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from shoal_scheduler.core.tables import Fork, Line, change, settle


class Ask(NamedTuple):
    """What an owner holds in a pool and could use besides."""

    age: float
    """The number of its oldest."""
    owner: str
    slots: int
    weight: float


class Asks:
    """The lines, by pool."""

    def __init__(self) -> None:
        self._lines: dict[str, Line[Ask]] = {}
        self._known: dict[tuple[str, str], Ask] = {}
        self._stale: dict[tuple[str, str], None] = {}
        """Pools and owners whose ask may be another one."""

    def fork(self) -> "Asks":
        """Asks that begin as these are."""
        asks = Asks.__new__(Asks)
        asks._lines = Fork(self._lines, Line.fork)
        asks._known, asks._stale = Fork(self._known), Fork(self._stale)
        return asks

    def settle(self, base: "Asks") -> None:
        """Change the asks that these are a fork of as these were."""
        settle(self, base, ("_lines", "_known", "_stale"))

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
            if new is not None:
                self._known[pool, owner] = new
                if pool not in self._lines:
                    self._lines[pool] = Line()
                change(self._lines, pool).add(new)
        return self._lines.get(pool, ())
