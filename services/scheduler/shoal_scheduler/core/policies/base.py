"""What a policy is: it says who is next, and what is missing."""

from dataclasses import dataclass
from typing import Protocol

from shoal_scheduler.core.state import Allocation, State


@dataclass(frozen=True, slots=True)
class Pass:
    """The result of one scheduling pass over one pool."""

    grants: list[tuple[Allocation, dict[str, list[int]]]]
    """Allocations that start now, and where (node to slot numbers)."""
    waiting: list[Allocation]
    """Those that may run now and find no place."""


class Policy(Protocol):
    """Decides, for one pool, which queued allocations get slots."""

    def schedule(self, state: State, pool: str) -> Pass:
        """One pass. Only reads."""
        ...
