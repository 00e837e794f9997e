"""Nodes, as the scheduler sees them, and which allocations hold slots."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    NodeAdmitted,
    NodeDraining,
    NodeRemoved,
    SlotSetAside,
)
from shoal_contract.states import NodeState
from shoal_gateway.core import keys
from shoal_gateway.core.changes import AddToIndex, Change, RemoveField, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to nodes and to the allocations on them."""
    event, time = envelope.event, envelope.time
    match event:
        case NodeAdmitted():
            fields = event.model_dump(mode="json", exclude={"ports"})
            fields |= {"state": NodeState.READY.value, "reason": None, "since": time}
            return [
                SetFields(keys.node(event.node_id), fields),
                AddToIndex(keys.NODES, event.node_id, time),
            ]
        case NodeDraining() | NodeRemoved():
            draining = isinstance(event, NodeDraining)
            state = NodeState.DRAINING if draining else NodeState.REMOVED
            fields = {"state": state.value, "reason": event.reason, "since": time}
            return [SetFields(keys.node(event.node_id), fields)]
        case SlotSetAside():
            said = {"incarnation": event.incarnation, "reason": event.reason}
            return [SetFields(keys.node(event.node_id), {f"{keys.ASIDE}{event.slot}": said})]
        case AllocationGranted():
            value = event.model_dump(mode="json", exclude={"rendezvous"})
            return [SetFields(keys.ALLOCATIONS, {event.allocation_id: value})]
        case AllocationEnded():
            return [RemoveField(keys.ALLOCATIONS, event.allocation_id)]
    return []
