"""The scheduler's core, as its host runs it."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from shoal_contract.events import Event
from shoal_decider import Message
from shoal_scheduler.core.decide import decide
from shoal_scheduler.core.evolve import evolve
from shoal_scheduler.core.pools import Pools
from shoal_scheduler.core.state import State

_STATE = TypeAdapter(State)


class SchedulerDecider:
    """Decides which trial gets which slots, and who yields."""

    name = "scheduler"

    def __init__(self, pools: Pools | None = None) -> None:
        self._pools = pools or Pools()

    def initial(self) -> State:
        """No nodes, an empty queue."""
        state = State()
        state.reindex(self._pools)
        return state

    def load(self, data: bytes) -> State:
        """The state from JSON, under the settings of today."""
        state = _STATE.validate_json(data)
        state.reindex(self._pools)
        return state

    def dump(self, state: State) -> bytes:
        """The state as JSON."""
        return _STATE.dump_json(state)

    def decide(self, state: State, message: Message) -> Sequence[Event]:
        """See `decide.decide`."""
        return decide(state, message)

    def evolve(self, state: State, event: Event) -> State:
        """See `evolve.evolve`."""
        return evolve(state, event)
