"""The searcher's core, as its host runs it."""

from collections.abc import Sequence

from shoal_contract.events import Event
from shoal_decider import Message, ModelState
from shoal_searcher.core.decide import decide
from shoal_searcher.core.evolve import evolve
from shoal_searcher.core.state import State


class SearcherDecider(ModelState[State]):
    """Decides which trial starts, goes on, stops."""

    model = State
    name = "searcher"

    def decide(self, state: State, message: Message) -> Sequence[Event]:
        """See `decide.decide`."""
        return decide(state, message)

    def evolve(self, state: State, event: Event) -> State:
        """See `evolve.evolve`."""
        return evolve(state, event)
