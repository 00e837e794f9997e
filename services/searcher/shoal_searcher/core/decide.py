"""What follows from each message."""

import math
from collections.abc import Sequence

from shoal_contract.events import (
    AllocationEnded,
    CheckpointSaved,
    Event,
    ExperimentCancelRequested,
    ExperimentPauseRequested,
    ExperimentResumeRequested,
    ExperimentSubmitted,
    Refused,
    SearchAccepted,
    SearchCancelled,
    SearchPaused,
    SearchResumed,
    TrialCancelled,
    TrialCheckpointed,
    TrialCompleted,
    TrialExtended,
    TrialFailed,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialReleased,
    TrialStopped,
    ValidationReported,
)
from shoal_contract.states import ExperimentState, Outcome, TrialState
from shoal_decider import Message
from shoal_searcher.core.draft import Draft, best_of
from shoal_searcher.core.evolve import begin
from shoal_searcher.core.methods import Complete, Extend, Pause, Stop
from shoal_searcher.core.state import Experiment, State, Trial

MAX_LOSSES = 20
"""How often a trial may lose its machine before it counts as failed: it may be the cause."""

Request = ExperimentPauseRequested | ExperimentResumeRequested | ExperimentCancelRequested


def decide(state: State, message: Message) -> Sequence[Event]:
    """What follows from one message. What is unknown, over or old has no effect."""
    match message.body:
        case ExperimentSubmitted() as body:
            return _submitted(state, body)
        case (
            ExperimentPauseRequested() | ExperimentResumeRequested() | ExperimentCancelRequested()
        ) as body:
            return _requested(state, body)
        case ValidationReported() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return _reported(*found, body) if found else []
        case CheckpointSaved() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return _checkpointed(*found, body) if found else []
        case AllocationEnded() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return _released(*found, body) if found else []
        case _:
            return []


def _submitted(state: State, body: ExperimentSubmitted) -> Sequence[Event]:
    if body.experiment_id in state.experiments or body.experiment_id in state.ended:
        return []
    accepted = SearchAccepted(
        experiment_id=body.experiment_id,
        config=body.config,
        bundle=body.bundle,
        storage_url=body.storage_url,
    )
    draft = Draft(begin(accepted), [accepted])
    draft.fill()
    return draft.events


def _requested(state: State, body: Request) -> Sequence[Event]:
    experiment = state.experiments.get(body.experiment_id)
    verb = body.type.removeprefix("experiment.").removesuffix("_requested")
    if experiment is None:
        if verb == "cancel" and state.ended.get(body.experiment_id) is ExperimentState.CANCELLED:
            return []
        is_what = state.ended.get(body.experiment_id)
        reason = f"it is {is_what} already" if is_what else "there is no such experiment"
        return [
            Refused(
                decider="searcher",
                message_type=body.type,
                subject_id=body.experiment_id,
                reason=f"cannot {verb} experiment {body.experiment_id}: {reason}",
            )
        ]
    draft = Draft.of(experiment)
    match body:
        case ExperimentPauseRequested() if experiment.state is ExperimentState.ACTIVE:
            _pause(draft)
        case ExperimentResumeRequested() if experiment.state is ExperimentState.PAUSED:
            draft.emit(SearchResumed(experiment_id=body.experiment_id))
            draft.fill()
        case ExperimentCancelRequested():
            _cancel(draft)
        case _:
            pass  # it is in that state already
    return draft.events


def _pause(draft: Draft) -> None:
    experiment = draft.experiment
    draft.emit(SearchPaused(experiment_id=experiment.experiment_id))
    for trial in list(experiment.trials.values()):
        if trial.active:
            draft.emit(
                TrialPaused(
                    experiment_id=experiment.experiment_id,
                    trial_id=trial.trial_id,
                    reason="the experiment was paused",
                    by_user=True,
                )
            )


def _cancel(draft: Draft) -> None:
    experiment = draft.experiment
    reason = "the experiment was cancelled"
    for trial in list(experiment.trials.values()):
        if not trial.over:
            draft.emit(
                TrialCancelled(
                    experiment_id=experiment.experiment_id, trial_id=trial.trial_id, reason=reason
                )
            )
    draft.emit(
        SearchCancelled(
            experiment_id=experiment.experiment_id,
            reason=reason,
            best=best_of(experiment),
            trials=len(experiment.trials),
        )
    )


def _reported(experiment: Experiment, trial: Trial, body: ValidationReported) -> Sequence[Event]:
    if trial.over or body.attempt > trial.attempt or body.time <= trial.time:
        return []  # counted already, or of nobody
    value: float | None = body.metrics.get(experiment.config.searcher.metric)
    if value is not None and not math.isfinite(value):
        value = None
    draft = Draft.of(experiment)
    targets = draft.method.targets(experiment)
    rung = next(
        (i for i in range(len(targets) - 1, trial.rung, -1) if body.time >= targets[i]), None
    )
    # A report that leaps over rungs counts for the first that it was due at.
    if rung is not None:
        rung = trial.rung + 1
    draft.emit(
        TrialMeasured(
            experiment_id=experiment.experiment_id,
            trial_id=trial.trial_id,
            step=body.step,
            time=body.time,
            metric=value,
            rung=rung,
        )
    )
    if rung is not None:
        _judge(draft, trial.trial_id, rung)
        draft.fill()
    return draft.events


def _judge(draft: Draft, trial_id: str, rung: int) -> None:
    experiment = draft.experiment
    trial = experiment.trials[trial_id]
    ids = {"experiment_id": experiment.experiment_id, "trial_id": trial_id}
    match draft.method.judge(experiment, trial, rung):
        case Extend(target=target, reason=reason):
            if trial.state is TrialState.WANTED:
                draft.emit(TrialExtended(**ids, target=target, reason=reason))
        case Pause(reason=reason):
            draft.emit(TrialPaused(**ids, reason=reason))
        case Stop(reason=reason):
            draft.emit(TrialStopped(**ids, reason=reason))
        case Complete(reason=reason):
            draft.emit(TrialCompleted(**ids, reason=reason))


def _checkpointed(experiment: Experiment, trial: Trial, body: CheckpointSaved) -> Sequence[Event]:
    known = trial.checkpoint.step if trial.checkpoint is not None else -1
    if trial.over and trial.state is not TrialState.COMPLETED:
        return []
    if body.checkpoint.step <= known or body.checkpoint.attempt > trial.attempt:
        return []
    return [
        TrialCheckpointed(
            experiment_id=experiment.experiment_id,
            trial_id=trial.trial_id,
            checkpoint=body.checkpoint,
        )
    ]


def _released(experiment: Experiment, trial: Trial, body: AllocationEnded) -> Sequence[Event]:
    if body.attempt != trial.attempt or not trial.holding:
        return []
    draft = Draft.of(experiment)
    ids = {"experiment_id": experiment.experiment_id, "trial_id": trial.trial_id}
    if trial.state is not TrialState.WANTED:
        draft.emit(TrialReleased(**ids, attempt=body.attempt))
        draft.fill()
        return draft.events
    outcome, reason = body.outcome, body.reason
    if outcome is Outcome.COMPLETED and trial.time == 0:
        metric = experiment.config.searcher.metric
        outcome, reason = Outcome.FAILED, f"the script ended without reporting {metric!r}"
    draft.emit(
        TrialInterrupted(**ids, attempt=body.attempt, outcome=outcome, reason=reason),
    )
    trial = draft.experiment.trials[trial.trial_id]
    if outcome is Outcome.COMPLETED:
        draft.emit(TrialCompleted(**ids, reason="the script ended by itself"))
    elif trial.failures > experiment.config.max_restarts:
        draft.emit(TrialFailed(**ids, reason=reason))
    elif trial.losses > MAX_LOSSES:
        draft.emit(TrialFailed(**ids, reason=f"lost its machine {trial.losses} times: {reason}"))
    else:
        draft.request(trial, draft.next_target(trial))
    draft.fill()
    return draft.events
