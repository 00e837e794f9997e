"""Experiments: what was submitted, its state, its best result."""

from shoal_contract.envelope import Envelope
from shoal_contract.events import (
    ExperimentArchived,
    ExperimentCancelRequested,
    ExperimentChangeRequested,
    ExperimentDeleted,
    ExperimentEdited,
    ExperimentSubmitted,
    SearchAccepted,
    SearchCancelled,
    SearchChanged,
    SearchClosing,
    SearchCompleted,
    SearchFailed,
    SearchPaused,
    SearchProposed,
    SearchResumed,
    ShareChangeRequested,
    TrialMeasured,
)
from shoal_contract.states import ExperimentState
from shoal_gateway.core import keys
from shoal_gateway.core.changes import (
    AddToIndex,
    Change,
    Delete,
    Increment,
    KeepBest,
    SetFields,
    finite,
)


def project(envelope: Envelope) -> list[Change]:
    """The changes that an event makes to experiments.

    Which of `best_low` and `best_high` is the best is said by the config, which another stream
    brings: both are kept, and the reader chooses.
    """
    event, time = envelope.event, envelope.time
    match event:
        case ExperimentSubmitted():
            fields = finite(event.model_dump(mode="json")) | {"submitted_at": time}
            fields |= {name: fields["config"][name] for name in ("name", "description", "labels")}
            fields["workspace"] = event.config.resources.workspace
            return [
                SetFields(keys.experiment(event.experiment_id), fields),
                AddToIndex(keys.EXPERIMENTS, event.experiment_id, time),
            ]
        case ExperimentCancelRequested():
            return [SetFields(keys.experiment(event.experiment_id), {"cancel_requested_at": time})]
        case ExperimentEdited():
            news = event.model_dump(exclude={"experiment_id"}, exclude_none=True)
            key = keys.experiment(event.experiment_id)
            return [SetFields(key, news), Increment(key, "revision")] if news else []
        case ExperimentChangeRequested() | ShareChangeRequested():
            return [Increment(keys.experiment(event.experiment_id), "revision")]
        case ExperimentArchived():
            key = keys.experiment(event.experiment_id)
            return [SetFields(key, {"archived": event.archived}), Increment(key, "revision")]
        case ExperimentDeleted():
            return [Delete(event.experiment_id, tuple(event.trial_ids))]
        case SearchAccepted():
            plan = event.model_dump(include={"units", "brackets"})
            return [
                _state(event.experiment_id, ExperimentState.ACTIVE),
                SetFields(keys.experiment(event.experiment_id), plan),
            ]
        case SearchResumed():
            return [_state(event.experiment_id, ExperimentState.ACTIVE)]
        case SearchPaused():
            return [_state(event.experiment_id, ExperimentState.PAUSED)]
        case SearchChanged():
            numbers = event.model_dump(exclude={"experiment_id"}, exclude_none=True)
            return [SetFields(keys.experiment(event.experiment_id), numbers)] if numbers else []
        case SearchProposed():
            key, told = keys.experiment(event.experiment_id), {"known": event.known, "at": time}
            if not event.failure:
                return [SetFields(key, {"proposed": told, "sampler_failure": None})]
            return [
                SetFields(key, {"sampler_failure": event.failure}),
                Increment(key, "sampler_failures"),
            ]
        case SearchClosing():
            return [SetFields(keys.experiment(event.experiment_id), {"closing": event.reason})]
        case SearchCompleted() | SearchCancelled() | SearchFailed():
            verb = event.type.removeprefix("search.")
            fields = {"state": verb, "reason": event.reason, "ended_at": time}
            fields |= finite(event.model_dump(mode="json", include={"best", "front"}))
            return [SetFields(keys.experiment(event.experiment_id), fields)]
        case TrialMeasured(metric=float(metric)):
            value = {"trial_id": event.trial_id, "step": event.step, "time": event.time}
            key = keys.experiment(event.experiment_id)
            return [
                KeepBest(key, "best_low", metric, True, value),
                KeepBest(key, "best_high", metric, False, value),
            ]
    return []


def _state(experiment_id: str, state: ExperimentState) -> SetFields:
    return SetFields(keys.experiment(experiment_id), {"state": state.value})
