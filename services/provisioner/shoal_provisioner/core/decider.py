"""The provisioner's core, as its host runs it."""

from collections.abc import Iterable, Sequence

from shoal_contract.events import Event
from shoal_decider import Message, ModelState
from shoal_provisioner.core.decide import decide
from shoal_provisioner.core.evolve import evolve
from shoal_provisioner.core.offers import offers_of
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.prices import FREE, Prices
from shoal_provisioner.core.state import State


class ProvisionerDecider(ModelState[State]):
    """Decides which machines to start and to stop, within what each pool allows."""

    model = State
    name = "provisioner"

    def __init__(self, pools: Iterable[Pool], prices: Prices = FREE) -> None:
        self.pools = {pool.name: pool for pool in pools}
        self.offers = {name: offers_of(pool, prices) for name, pool in self.pools.items()}

    def decide(self, state: State, message: Message) -> Sequence[Event]:
        """See `decide.decide`."""
        return decide(state, message, self.pools, self.offers)

    def evolve(self, state: State, event: Event) -> State:
        """See `evolve.evolve`."""
        return evolve(state, event)
