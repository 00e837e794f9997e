"""The scheduler's core, as its host runs it."""

from collections.abc import Sequence

from shoal_contract.events import Event
from shoal_decider import Message, ModelState
from shoal_scheduler.core.decide import decide
from shoal_scheduler.core.evolve import evolve
from shoal_scheduler.core.policies import Fifo, Policy
from shoal_scheduler.core.state import State


class SchedulerDecider(ModelState[State]):
    """Decides which trial gets which slots, and who yields."""

    model = State
    name = "scheduler"

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy: Policy = policy or Fifo()

    def decide(self, state: State, message: Message) -> Sequence[Event]:
        """See `decide.decide`."""
        return decide(state, message, self._policy)

    def evolve(self, state: State, event: Event) -> State:
        """See `evolve.evolve`."""
        return evolve(state, event)
