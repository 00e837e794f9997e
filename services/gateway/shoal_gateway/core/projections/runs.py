"""Runs of trials: each attempt from its request for slots to its end. See `core/runs.py`."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    AllocationReleasing,
    RunExited,
    TrialRequested,
)
from shoal_contract.ids import attempt_of, node_rank_of, trial_of
from shoal_gateway.core import keys
from shoal_gateway.core.changes import Change, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to runs. A field is `what attempt`, so that streams never
    write the same one."""
    event, time = envelope.event, envelope.time
    match event:
        case TrialRequested(task=task):
            asked = {
                "at": time,
                "reason": event.reason,
                "target": task.target,
                "from_step": None if task.checkpoint is None else task.checkpoint.step,
            }
            return [_of(event.trial_id, f"asked {event.attempt}", asked)]
        case AllocationGranted():
            granted = {
                "at": event.at,
                "slots": sum(len(place.slots) for place in event.placements),
                "node_ids": [place.node_id for place in event.placements],
                "price": event.price,
            }
            return [_of(event.trial_id, f"granted {event.attempt}", granted)]
        case AllocationReleasing():
            leaving = {"at": time, "reason": event.reason.value}
            allocation = event.allocation_id
            return [_of(trial_of(allocation), f"leaving {attempt_of(allocation)}", leaving)]
        case AllocationEnded():
            names = {"outcome", "reason", "slots", "seconds", "last_time"}
            ended = event.model_dump(mode="json", include=names) | {"at": time}
            return [_of(event.trial_id, f"ended {event.attempt}", ended)]
        case RunExited():
            names = {"node_id", "outcome", "reason", "exit_code", "last_step"}
            exited = event.model_dump(mode="json", include=names) | {"at": time}
            place = f"{attempt_of(event.allocation_id)} {node_rank_of(event.run_id)}"
            return [_of(event.trial_id, f"exited {place}", exited)]
    return []


def _of(trial_id: str, field: str, value: object) -> Change:
    return SetFields(keys.runs(trial_id), {field: value})
