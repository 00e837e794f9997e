"""The worker's core, as its host runs it."""

from collections.abc import Sequence

from shoal_contract.events import Event
from shoal_decider import Message, ModelState
from shoal_worker.core.decide import Draft, decide
from shoal_worker.core.evolve import evolve
from shoal_worker.core.state import State


class WorkerDecider(ModelState[State]):
    """Decides how the runs of one machine go on."""

    model = State

    def __init__(self, node_id: str, incarnation: str) -> None:
        self.name = f"worker-{node_id}"
        self.node_id, self.incarnation = node_id, incarnation

    def decide(self, state: State, message: Message) -> Sequence[Event]:
        """See `decide.decide`."""
        copy = state.model_copy(deep=True)
        return decide(Draft(self.node_id, self.incarnation, copy, message.now), message)

    def evolve(self, state: State, event: Event) -> State:
        """See `evolve.evolve`."""
        return evolve(state, event)
