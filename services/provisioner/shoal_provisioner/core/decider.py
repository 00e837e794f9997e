"""The provisioner's core, as its host runs it."""

from collections.abc import Iterable, Sequence

from shoal_contract.events import Event
from shoal_decider import Message
from shoal_provisioner.core.decide import decide
from shoal_provisioner.core.evolve import evolve
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.state import State


class ProvisionerDecider:
    """Decides which machines to start and to stop, within what each pool allows."""

    name = "provisioner"

    def __init__(self, pools: Iterable[Pool]) -> None:
        self.pools = {pool.name: pool for pool in pools}

    def initial(self) -> State:
        """No machine."""
        return State()

    def decide(self, state: State, message: Message) -> Sequence[Event]:
        """See `decide.decide`."""
        return decide(state, message, self.pools)

    def evolve(self, state: State, event: Event) -> State:
        """See `evolve.evolve`."""
        return evolve(state, event)

    def dump(self, state: State) -> bytes:
        """The state as JSON."""
        return state.model_dump_json().encode()

    def load(self, data: bytes) -> State:
        """The state from JSON."""
        return State.model_validate_json(data)
