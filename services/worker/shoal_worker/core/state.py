"""What a worker knows of its runs. Only `evolve` changes it."""

from pydantic import BaseModel, Field

from shoal_contract.events import RunOrder
from shoal_contract.states import RunState, StopReason
from shoal_worker.core.failure import Failure

REMEMBERED = 1000
"""Runs that are remembered after their end, so that an order that comes again is known."""


class Run(BaseModel):
    """One run that is not over."""

    order: RunOrder
    state: RunState = RunState.STARTING
    target: int
    started: bool = False
    stop_reason: StopReason | None = None
    until: float | None = None
    """Unix time at which it is killed, once it was told to stop."""
    exits: dict[int, int] = Field(default_factory=dict)
    """Rank to exit code, of the processes that have ended."""
    failure: Failure | None = None
    """Of the rank that failed first, by itself."""

    @property
    def ranks(self) -> range:
        """The global ranks of this run."""
        return range(self.order.first_rank, self.order.first_rank + len(self.order.slots))

    @property
    def ended(self) -> bool:
        """Whether no process is left."""
        return len(self.exits) == len(self.ranks)


class State(BaseModel):
    """Everything."""

    runs: dict[str, Run] = Field(default_factory=dict)
    over: dict[str, None] = Field(default_factory=dict)
    """Ids of runs that are over, the oldest first."""
    draining: bool = False
    left: bool = False
