"""How often several ranks ask one another whether to stop. Pure.

A question costs each rank a collective call, 0.3 to 1 ms with gloo, however short the steps are. So
ranks that have just agreed also agree on how many calls may go by until they agree again: few
enough that a word to stop is heard within `DELAY`, and that none goes by at the target.
"""

import math
from dataclasses import dataclass

DELAY = 0.25
"""Seconds for which a word to stop may go unheard, at the pace of the slowest call so far."""
UNSEEN = 100
"""Until it is known how fast the time metric moves, one call more may go by after as many calls as
this: at most 1 % is trained too far."""


@dataclass(slots=True)
class Pace:
    """What one rank knows of its calls."""

    reached: int = -1
    """Last value of the time metric; -1 before the first."""
    called: float = math.inf
    """When the last call was, in seconds."""
    slowest: float = 0.0
    """Seconds between two calls, at most, since ranks last agreed."""
    since: int = 0
    """Calls since the time metric moved."""
    stride: int = 0
    """How far it moves at once, at most."""
    apart: int = 0
    """Calls between two moves, at least; 0 before the first."""
    granted: int = 1
    """Calls between the last two agreements."""
    left: int = 1
    """Calls until ranks agree again."""

    def call(self, now: float, reached: int) -> bool:
        """Count a call at `now` (seconds), when the time metric is at `reached`; whether ranks
        agree in this one."""
        self.slowest = max(self.slowest, now - self.called)
        self.called = now
        self.since += 1
        if reached > self.reached:
            if self.reached > 0:  # of the first one it is not known when it began
                self.stride = max(self.stride, reached - self.reached)
                self.apart = min(self.apart or self.since, self.since)
            self.reached, self.since = reached, 0
        self.left -= 1
        return self.left <= 0

    def wish(self, target: int) -> int:
        """After how many calls this rank wants to agree again; at least 1. At most twice as many
        as before: no more than two slow calls go by among fast ones."""
        fast = min(2 * self.granted, int(DELAY / self.slowest) if self.slowest > 0 else 1)
        if self.stride == 0:
            return max(1, min(fast, 1 + self.since // UNSEEN))
        moves = -(-(target - self.reached) // self.stride)
        return max(1, min(fast, moves * self.apart - self.since))

    def agreed(self, calls: int) -> None:
        """All ranks agree again after `calls` calls."""
        self.granted = self.left = calls
        self.slowest = 0.0
