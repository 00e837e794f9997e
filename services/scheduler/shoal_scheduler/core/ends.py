"""When allocations end, as far as that can be told."""

from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.speeds import Speeds
from shoal_scheduler.core.turn import Turn


class Ends:
    """Predictions of one pass: by an allocation's own pace, else by the speed of its program."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._speeds: Speeds | None = None

    def of(self, allocation: Allocation) -> float | None:
        """Unix seconds at which one that runs reaches its target; None: nobody can tell."""
        end = allocation.expected_end
        if end is not None:
            return end
        progress = allocation.progress
        told = progress.at if progress is not None and progress.step else allocation.granted_at
        seconds = self.seconds(allocation, told, {allocation.model: allocation.slots})
        return None if seconds is None else told + seconds

    def seconds(self, allocation: Allocation, now: float, slots: dict[str, int]) -> float | None:
        """How long an allocation would take up to its target on so many slots of each model;
        None: nobody can tell."""
        state = self._turn.state
        name = allocation.program
        if name not in state.speeds:
            return None
        if self._speeds is None:
            turn = self._turn
            self._speeds = Speeds(state.speeds, state.ratios, turn.room, turn.pool)
        return self._speeds.seconds(allocation, name, state.strides.get(name), now, slots)
