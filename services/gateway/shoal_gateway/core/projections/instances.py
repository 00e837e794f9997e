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
from shoal_contract.events.instance import (
    InstanceAdopted,
    InstanceDisowned,
    InstanceMetered,
    InstancePreempted,
)
from shoal_gateway.core import keys
from shoal_gateway.core.changes import AddToIndex, Change, Json, RemoveField, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to instances."""
    event = envelope.event
    match event:
        case InstanceRequested() | InstanceAdopted() | InstanceDisowned():
            return _appeared(event)
        case InstanceStopped() | InstanceFailed():
            return [
                SetFields(keys.instance(event.instance_id), _moved(event, reason=event.reason)),
                RemoveField(keys.MACHINES, event.instance_id),
            ]
        case InstanceJoined():
            fields = _moved(event, node_id=event.node_id, joined_at=event.at)
        case InstanceStarted():
            fields = _moved(event, started_at=event.at)
        case InstanceStopping():
            fields = _moved(event, reason=event.reason)
        case InstanceIdled():
            fields = {"idle": event.idle}
        case InstancePreempted():
            fields = {"preempted": True}
        case InstanceMetered():
            fields = {"metered_at": event.at, "shares": event.next_shares}
        case _:
            return []
    return [SetFields(keys.instance(event.instance_id), fields)]


def _appeared(event: InstanceRequested | InstanceAdopted | InstanceDisowned) -> list[Change]:
    fields = event.model_dump(mode="json", exclude={"at"})
    fields |= {"requested_at": event.at, "state": "requested", "since": event.at}
    if not isinstance(event, InstanceRequested):  # it ran already
        state = "started" if isinstance(event, InstanceAdopted) else "stopping"
        fields |= {"started_at": event.at, "state": state}
    return [
        SetFields(keys.instance(event.instance_id), fields),
        SetFields(keys.MACHINES, {event.instance_id: event.pool}),
        AddToIndex(keys.INSTANCES, event.instance_id, event.at),
    ]


def _moved(
    event: InstanceStarted | InstanceJoined | InstanceStopping | InstanceStopped | InstanceFailed,
    **more: Json,
) -> dict[str, Json]:
    return {"state": event.type.removeprefix("instance."), "since": event.at, **more}
