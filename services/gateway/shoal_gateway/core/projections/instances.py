"""Machines, from the provisioner's request to their end."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    InstanceFailed,
    InstanceIdled,
    InstanceJoined,
    InstanceRequested,
    InstanceStarted,
    InstanceStopped,
    InstanceStopping,
)
from shoal_gateway.core import keys
from shoal_gateway.core.changes import AddToIndex, Change, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to instances."""
    event = envelope.event
    match event:
        case InstanceRequested():
            fields = event.model_dump(mode="json", exclude={"at"})
            fields |= {"requested_at": event.at, "state": "requested", "since": event.at}
            return [
                SetFields(keys.instance(event.instance_id), fields),
                AddToIndex(keys.INSTANCES, event.instance_id, event.at),
            ]
        case InstanceJoined():
            fields = {"node_id": event.node_id, "state": "joined", "since": event.at}
        case InstanceIdled():
            fields = {"idle": event.idle}
        case InstanceStarted():
            fields = {"state": "started", "since": event.at}
        case InstanceStopping() | InstanceStopped() | InstanceFailed():
            state = event.type.removeprefix("instance.")
            fields = {"state": state, "reason": event.reason, "since": event.at}
        case _:
            return []
    return [SetFields(keys.instance(event.instance_id), fields)]
