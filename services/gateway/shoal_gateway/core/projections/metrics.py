"""Reports of trials, point by point."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import TrainingReported, ValidationReported
from shoal_gateway.core import keys
from shoal_gateway.core.changes import Append, Change, finite

TRAINING_KEPT = 20_000
"""Training reports of a trial that can be read here; the stream holds them all."""


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to the series of reports."""
    event = envelope.event
    match event:
        case ValidationReported() | TrainingReported():
            item = event.model_dump(exclude={"experiment_id", "allocation_id"})
            training = isinstance(event, TrainingReported)
            key = keys.metrics(event.trial_id, "training" if training else "validation")
            return [Append(key, finite(item), TRAINING_KEPT if training else 0)]
    return []
