"""The searcher's core, as its host runs it."""

from collections.abc import Sequence

from shoal_contract.events import Event
from shoal_decider import Message
from shoal_searcher.core.decide import decide
from shoal_searcher.core.evolve import evolve
from shoal_searcher.core.state import State


class SearcherDecider:
    """Decides which trial starts, goes on, stops."""

    name = "searcher"

    def initial(self) -> State:
        """No experiment."""
        return State()

    def decide(self, state: State, message: Message) -> Sequence[Event]:
        """See `decide.decide`."""
        return decide(state, message)

    def evolve(self, state: State, event: Event) -> State:
        """See `evolve.evolve`."""
        return evolve(state, event)

    def dump(self, state: State) -> bytes:
        """The state as JSON."""
        return state.model_dump_json().encode()

    def load(self, data: bytes) -> State:
        """The state from JSON."""
        return State.model_validate_json(data)
