"""What was logged through MLflow's API, but for the numbers, which are metric points."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    TrackingExperimentCreated,
    TrackingLogged,
    TrackingRunChanged,
    TrackingRunCreated,
)
from shoal_gateway.core import keys
from shoal_gateway.core.changes import AddToIndex, Change, SetFields


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to tracked experiments and runs."""
    event = envelope.event
    match event:
        case TrackingExperimentCreated():
            made: list[Change] = [
                SetFields(keys.tracked(event.experiment_id), event.model_dump()),
                AddToIndex(keys.TRACKED, event.experiment_id, event.at),
            ]
            if event.within is not None:
                index = keys.tracked_within(event.within)
                made.append(AddToIndex(index, event.experiment_id, event.at))
            return made
        case TrackingRunCreated():
            fields = event.model_dump(exclude={"tags"}) | {"status": "RUNNING"}
            return [
                SetFields(keys.tracked_run(event.run_id), fields),
                AddToIndex(keys.tracked_runs(event.experiment_id), event.run_id, event.start_time),
                *_set(keys.tracked_tags(event.run_id), event.tags),
            ]
        case TrackingRunChanged():
            changed = event.model_dump(exclude={"experiment_id", "run_id"}, exclude_none=True)
            return _set(keys.tracked_run(event.run_id), changed)
        case TrackingLogged():
            return [
                *_set(keys.tracked_params(event.run_id), event.params),
                *_set(keys.tracked_tags(event.run_id), event.tags),
            ]
    return []


def _set(key: str, fields: dict[str, str]) -> list[Change]:
    return [SetFields(key, fields)] if fields else []
