"""A draft: the decisions so far, and the state as it will be after them."""

from dataclasses import dataclass, field

from shoal_contract.events import (
    DemandNoted,
    Event,
    InstanceRequested,
    InstanceStopping,
)
from shoal_contract.states import INSTANCE, allowed
from shoal_provisioner.core.evolve import evolve
from shoal_provisioner.core.offers import Offer
from shoal_provisioner.core.state import Instance, PoolState, State

MOST = 600
"""Events after which a draft begins nothing more: a batch holds 1,000, and a tick comes soon."""


@dataclass(slots=True)
class Draft:
    """Collects events, and applies each to a state of its own.

    That state shares all machines and pools with the real one except those that an event touches:
    they are copied first, so that the real state is only read.
    """

    state: State
    now: float
    events: list[Event] = field(default_factory=list)
    _own: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, state: State, now: float) -> "Draft":
        """A draft that begins as `state` is."""
        own = State.model_construct(
            pools=dict(state.pools),
            instances=dict(state.instances),
            nodes=dict(state.nodes),
            experiments=dict(state.experiments),
        )
        return cls(own, now)

    @property
    def full(self) -> bool:
        """Whether what is left to decide should wait for the next message."""
        return len(self.events) >= MOST

    def emit(self, event: Event) -> None:
        """Decide on an event."""
        self.events.append(event)
        pool = getattr(event, "pool", "")
        if pool and f"/{pool}" not in self._own:
            self._own.add(f"/{pool}")
            self.state.pools[pool] = self.state.pools.get(pool, PoolState()).model_copy()
        touched = [getattr(event, "instance_id", ""), getattr(event, "replaces", None) or ""]
        if isinstance(event, DemandNoted):
            touched = [machine.instance_id for machine in self.state.of(event.pool)]
        for name in touched:
            if name in self.state.instances and name not in self._own:
                self._own.add(name)
                self.state.instances[name] = self.state.instances[name].model_copy()
        self.state = evolve(self.state, event)

    def instance(self, instance_id: str | None, event_type: str) -> Instance | None:
        """A machine of ours, if the event may happen to it."""
        found = self.state.instances.get(instance_id or "")
        return found if found and allowed(INSTANCE, found.state, event_type) else None

    def start(self, pool: str, offer: Offer, reason: str, replaces: str | None = None) -> None:
        """A machine is to start."""
        self.emit(
            InstanceRequested(
                pool=pool,
                instance_id=f"{pool}-{self.state.pool(pool).made}",
                slots=offer.slots,
                reason=reason,
                at=self.now,
                kind=offer.kind.name,
                zone=offer.zone,
                spot=offer.spot,
                price=offer.price,
                list_price=offer.list_price,
                replaces=replaces,
            )
        )

    def stop(self, instance: Instance, reason: str) -> None:
        """A machine is to end, if it is not ending already."""
        if self.instance(instance.instance_id, "instance.stopping"):
            self.emit(
                InstanceStopping(
                    pool=instance.pool, instance_id=instance.instance_id, reason=reason, at=self.now
                )
            )
