"""A draft: the decisions so far, and the state as it will be after them."""

from dataclasses import dataclass, field

from shoal_contract.events import DemandNoted, Event, InstanceStopping
from shoal_contract.states import INSTANCE, allowed
from shoal_provisioner.core.evolve import evolve
from shoal_provisioner.core.state import Instance, State


@dataclass(slots=True)
class Draft:
    """Collects events, and applies each to a state of its own.

    That state shares all machines with the real one except those that an event touches: they are
    copied first, so that the real state is only read.
    """

    state: State
    now: float
    events: list[Event] = field(default_factory=list)
    _own: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, state: State, now: float) -> "Draft":
        """A draft that begins as `state` is."""
        pools = {name: pool.model_copy() for name, pool in state.pools.items()}
        return cls(State.model_construct(pools=pools, instances=dict(state.instances)), now)

    def emit(self, event: Event) -> None:
        """Decide on an event."""
        self.events.append(event)
        touched = [getattr(event, "instance_id", "")]
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

    def stop(self, instance: Instance, reason: str) -> None:
        """A machine is to end."""
        self.emit(
            InstanceStopping(
                pool=instance.pool, instance_id=instance.instance_id, reason=reason, at=self.now
            )
        )
