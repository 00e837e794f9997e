"""Attempts that wait for slots: which, since when, and why."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationMoved,
    AllocationQueued,
    AllocationWaiting,
)
from shoal_gateway.core import keys
from shoal_gateway.core.changes import Change, RemoveField, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to the queue."""
    event = envelope.event
    match event:
        case AllocationQueued():
            value = {
                "allocation_id": event.allocation_id,
                "experiment_id": event.experiment_id,
                "trial_id": event.trial_id,
                "attempt": event.task.attempt,
                "pool": event.resources.pools[0],
                "priority": event.resources.priority,
                "slots": event.resources.least,
                "queued_at": envelope.time,
            }
            return [SetFields(keys.QUEUE, {event.allocation_id: value})]
        case AllocationWaiting():
            names = {"why", "reason", "expected_at", "number", "since", "pools", "ageing"}
            return [SetFields(keys.WAITING, {event.allocation_id: event.model_dump(include=names)})]
        case AllocationMoved():
            place = event.model_dump(include={"number", "since"})
            return [SetFields(keys.MOVED, {event.allocation_id: place})]
        case AllocationGranted() | AllocationEnded():
            tables = (keys.QUEUE, keys.WAITING, keys.MOVED)
            return [RemoveField(table, event.allocation_id) for table in tables]
    return []
