"""Checkpoints of trials: what was saved, what people asked for, and what was removed."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import CheckpointChangeRequested, CheckpointRemoved, CheckpointSaved
from shoal_gateway.core import keys
from shoal_gateway.core.changes import Append, Change, Json, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to the checkpoints of a trial."""
    event = envelope.event
    match event:
        case CheckpointSaved():
            found = event.checkpoint
            item: dict[str, Json] = {
                "checkpoint_id": f"{event.trial_id}-a{found.attempt}-s{found.step}",
                "trial_id": event.trial_id,
                "saved_at": envelope.time,
                **found.model_dump(mode="json"),
            }
            return [Append(keys.checkpoints(event.trial_id), item)]
        case CheckpointChangeRequested():
            asked: dict[str, Json] = {f"asked {event.url}": event.change}
            return [SetFields(keys.checkpoint_changes(event.trial_id), asked)]
        case CheckpointRemoved():
            removed: dict[str, Json] = {f"removed {event.url}": envelope.time}
            return [SetFields(keys.checkpoint_changes(event.trial_id), removed)]
    return []
