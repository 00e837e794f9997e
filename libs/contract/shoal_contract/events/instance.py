"""What the provisioner decides about machines."""

from shoal_contract.base import Id
from shoal_contract.events.base import Event

_INSTANCE = ("pool", "instance_id")


class InstanceRequested(Event, type="instance.requested", key=_INSTANCE):
    """A machine is to be started. Its id is the idempotency key at the cloud."""

    pool: Id
    instance_id: Id
    slots: int
    reason: str
    at: float
    """Unix seconds."""


class InstanceStarted(Event, type="instance.started", key=_INSTANCE):
    """The cloud says that the machine runs."""

    pool: Id
    instance_id: Id
    at: float


class InstanceJoined(Event, type="instance.joined", key=_INSTANCE):
    """The machine's worker joined as a node."""

    pool: Id
    instance_id: Id
    node_id: Id
    at: float


class InstanceIdled(Event, type="instance.idled", key=_INSTANCE):
    """The machine's node fell idle (or, `idle` false, got work again)."""

    pool: Id
    instance_id: Id
    idle: bool
    at: float


class InstanceStopping(Event, type="instance.stopping", key=_INSTANCE):
    """A machine is to be stopped."""

    pool: Id
    instance_id: Id
    reason: str
    at: float


class InstanceStopped(Event, type="instance.stopped", key=_INSTANCE):
    """A machine is gone."""

    pool: Id
    instance_id: Id
    reason: str
    at: float


class InstanceFailed(Event, type="instance.failed", key=_INSTANCE):
    """A machine could not be started, or its worker never joined."""

    pool: Id
    instance_id: Id
    reason: str
    at: float


class DemandNoted(Event, type="instance.demand_noted", key=("pool",)):
    """The provisioner took note of a pool's demand."""

    pool: Id
    missing_slots: int
    """Slots that waiting gangs ask for."""
