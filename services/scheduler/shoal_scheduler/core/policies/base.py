"""What a policy is: in its turn, it says who starts in a pool and who yields."""

from typing import Protocol

from shoal_scheduler.core.turn import Turn


class Policy(Protocol):
    """Shares the slots of one pool."""

    def run(self, turn: Turn) -> None:
        """One pass. The same again, at the same time, must change nothing."""
        ...
