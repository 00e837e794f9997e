"""What was logged through MLflow's API, but for the numbers, which are metric points."""

from typing import Any

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    TrackingExperimentChanged,
    TrackingExperimentCreated,
    TrackingLogged,
    TrackingRunChanged,
    TrackingRunCreated,
)
from shoal_gateway.core import keys
from shoal_gateway.core.changes import AddToIndex, Change, RemoveField, SetFields
from shoal_gateway.core.rows import Row


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
        case TrackingExperimentChanged():
            changed = {tag_field(key): value for key, value in event.tags.items()}
            changed |= {} if event.name is None else {"name": event.name}
            return _set(keys.tracked(event.experiment_id), changed)
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
            tags = keys.tracked_tags(event.run_id)
            return [
                *_set(keys.tracked_params(event.run_id), event.params),
                *_set(tags, event.tags),
                *(RemoveField(tags, key) for key in event.removed_tags),
            ]
    return []


def tag_field(key: str) -> str:
    """The field of an experiment's row with what became of a tag since the experiment was made."""
    return f"tag {key}"


def tags_of(row: Row) -> dict[str, str]:
    """The tags of an experiment by its row."""
    prefix = tag_field("")
    later = {n.removeprefix(prefix): v for n, v in row.items() if n.startswith(prefix)}
    return {key: value for key, value in (row["tags"] | later).items() if value is not None}


def _set(key: str, fields: dict[str, Any]) -> list[Change]:
    return [SetFields(key, fields)] if fields else []
