"""Attempts that wait for slots."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import AllocationEnded, AllocationGranted, AllocationQueued
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
                "pool": event.resources.resource_pool,
                "priority": event.resources.priority,
                "slots": event.resources.slots_per_trial,
                "queued_at": envelope.time,
            }
            return [SetFields(keys.QUEUE, {event.allocation_id: value})]
        case AllocationGranted() | AllocationEnded():
            return [RemoveField(keys.QUEUE, event.allocation_id)]
    return []
