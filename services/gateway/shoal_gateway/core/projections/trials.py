"""Trials: what they try, how far they are, where they run and what they have cost."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    CheckpointSaved,
    Event,
    TrialCancelled,
    TrialCompleted,
    TrialCreated,
    TrialExtended,
    TrialFailed,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialReleased,
    TrialRequested,
    TrialStarted,
    TrialStopped,
)
from shoal_contract.states import Outcome, TrialState
from shoal_gateway.core import keys
from shoal_gateway.core.changes import (
    AddToIndex,
    Change,
    Increment,
    Json,
    KeepBest,
    SetCounted,
    SetFields,
    finite,
)


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to trials."""
    event = envelope.event
    match event:
        case AllocationGranted() | AllocationEnded():
            return _allocation(event)
        case CheckpointSaved():
            item = event.checkpoint.model_dump(mode="json") | {"trial_id": event.trial_id}
            return [SetFields(keys.trial(event.trial_id), {"checkpoint": item})]
    return _search(event, envelope.time)


def _search(event: Event, time: float) -> list[Change]:
    match event:
        case TrialCreated():
            fields = finite(event.model_dump(mode="json", exclude={"rung", "reason"})) | {
                "created_at": time
            }
            if event.rung >= 0:
                fields |= {"rung": event.rung, "passed": event.rung}
            return [
                SetFields(keys.trial(event.trial_id), fields),
                AddToIndex(keys.trials(event.experiment_id), event.trial_id, event.number),
                *_state(event.experiment_id, event.trial_id, TrialState.CREATED),
            ]
        case TrialRequested():
            fields = {"attempt": event.attempt, "target": event.task.target, "started_at": None}
            return [
                SetFields(keys.trial(event.trial_id), fields),
                *_state(event.experiment_id, event.trial_id, TrialState.WANTED),
            ]
        case TrialStarted():
            return [SetFields(keys.trial(event.trial_id), {"started_at": event.at})]
        case TrialReleased():
            return [SetFields(keys.trial(event.trial_id), {"started_at": None})]
        case TrialExtended():
            return [SetFields(keys.trial(event.trial_id), {"target": event.target})]
        case TrialMeasured():
            return _measured(event)
        case TrialInterrupted():
            counts: list[Change] = [SetFields(keys.trial(event.trial_id), {"started_at": None})]
            if event.outcome is Outcome.FAILED:
                counts.append(Increment(keys.trial(event.trial_id), "restarts"))
            elif event.outcome is Outcome.LOST:
                counts.append(Increment(keys.trial(event.trial_id), "losses"))
            state = TrialState.INTERRUPTED
            return counts + _state(event.experiment_id, event.trial_id, state, event.reason)
        case TrialPaused() | TrialCompleted() | TrialStopped() | TrialCancelled() | TrialFailed():
            state = TrialState(event.type.removeprefix("trial."))
            changes = _state(event.experiment_id, event.trial_id, state, event.reason)
            if state is not TrialState.PAUSED:
                changes.append(SetFields(keys.trial(event.trial_id), {"ended_at": time}))
            return changes
    return []


def _measured(event: TrialMeasured) -> list[Change]:
    key = keys.trial(event.trial_id)
    fields: dict[str, Json] = {"step": event.step, "time": event.time, "metric": event.metric}
    if event.objectives:
        fields["objectives"] = event.objectives
    if event.rung is not None:
        fields |= {"rung": event.rung, keys.at_rung(event.rung): event.metric}
    changes: list[Change] = [SetFields(key, fields)]
    if event.metric is not None:
        at = {"step": event.step, "time": event.time}
        changes.append(KeepBest(key, "best_low", event.metric, True, at))
        changes.append(KeepBest(key, "best_high", event.metric, False, at))
    return changes


def _allocation(event: AllocationGranted | AllocationEnded) -> list[Change]:
    key = keys.trial(event.trial_id)
    if isinstance(event, AllocationGranted):
        slots = sum(len(p.slots) for p in event.placements)
        nodes = [p.node_id for p in event.placements]
        return [
            SetFields(key, {"slots": slots, "node_ids": nodes, "granted_attempt": event.attempt})
        ]
    changes: list[Change] = [
        SetFields(key, {"slots": 0, "node_ids": []}),
        Increment(key, "slot_seconds", event.slots * event.seconds),
        Increment(
            keys.experiment(event.experiment_id), "slot_seconds", event.slots * event.seconds
        ),
    ]
    if event.outcome is Outcome.PREEMPTED:
        changes.append(Increment(key, "preemptions"))
    return changes


def _state(
    experiment_id: str, trial_id: str, state: TrialState, reason: str | None = None
) -> list[Change]:
    return [
        SetFields(keys.trial(trial_id), {"state": state.value, "reason": reason}),
        SetCounted(
            keys.states(experiment_id), keys.state_counts(experiment_id), trial_id, state.value
        ),
    ]
