"""What follows from a trial's results, its checkpoints and the ends of its attempts."""

import math
from collections.abc import Sequence

from shoal_contract.events import (
    AllocationEnded,
    CheckpointSaved,
    Event,
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
from shoal_contract.states import Outcome, TrialState
from shoal_searcher.core.draft import Draft
from shoal_searcher.core.methods import Complete, Extend, Pause, Stop
from shoal_searcher.core.state import Experiment, Trial

MAX_LOSSES = 20
"""How often a trial may lose its machine and be started again: it may be the cause."""


def reported(experiment: Experiment, trial: Trial, body: ValidationReported) -> Sequence[Event]:
    """Count a result, if it is news, and act on it where results are judged.

    A result of an earlier attempt counts too: the news that the attempt ended comes on another
    stream and may be heard first, and a result that was reported is never lost.
    """
    if trial.over or not 1 <= body.attempt <= trial.attempt or body.time <= trial.time:
        return []
    value = body.metrics.get(experiment.config.searcher.metric)
    draft = Draft.of(experiment)
    passed = sum(body.time >= target for target in draft.method.targets(experiment)) - 1
    rung = passed if passed > trial.rung else None
    draft.emit(
        TrialMeasured(
            experiment_id=experiment.experiment_id,
            trial_id=trial.trial_id,
            step=body.step,
            time=body.time,
            metric=value if value is not None and math.isfinite(value) else None,
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
            # A paused trial cannot train on at once: `fill` starts it again, in its turn.
            if trial.state is TrialState.WANTED:
                draft.emit(TrialExtended(**ids, target=target, reason=reason))
        case Pause(reason=reason):
            draft.emit(TrialPaused(**ids, reason=reason))
        case Stop(reason=reason):
            draft.emit(TrialStopped(**ids, reason=reason))
        case Complete(reason=reason):
            draft.emit(TrialCompleted(**ids, reason=reason))


def checkpointed(experiment: Experiment, trial: Trial, body: CheckpointSaved) -> Sequence[Event]:
    """Note a checkpoint if it is further than the newest known one. It never goes back.

    A trial that is over still notes the one that it took on leaving.
    """
    known = trial.checkpoint.step if trial.checkpoint is not None else -1
    if body.checkpoint.step <= known or body.checkpoint.attempt > trial.attempt:
        return []
    return [
        TrialCheckpointed(
            experiment_id=experiment.experiment_id,
            trial_id=trial.trial_id,
            checkpoint=body.checkpoint,
        )
    ]


def ended(experiment: Experiment, trial: Trial, body: AllocationEnded) -> Sequence[Event]:
    """Start a trial again whose attempt ended unasked, or close it."""
    if body.attempt != trial.attempt or not trial.holding:
        return []
    draft = Draft.of(experiment)
    ids = {"experiment_id": experiment.experiment_id, "trial_id": trial.trial_id}
    if trial.state is not TrialState.WANTED:
        draft.emit(TrialReleased(**ids, attempt=body.attempt))
    elif body.outcome is Outcome.COMPLETED and trial.time >= 0:
        place = draft.method.standing(experiment, trial)
        draft.emit(TrialCompleted(**ids, reason=f"the script ended by itself: {place}"))
        draft.emit(TrialReleased(**ids, attempt=body.attempt))
    else:
        _interrupted(draft, trial.trial_id, body)
    draft.fill()
    return draft.events


def _interrupted(draft: Draft, trial_id: str, body: AllocationEnded) -> None:
    config = draft.experiment.config
    ids = {"experiment_id": body.experiment_id, "trial_id": trial_id}
    outcome, reason = body.outcome, body.reason
    if outcome is Outcome.COMPLETED:
        outcome = Outcome.FAILED
        reason = f"ended without reporting the metric {config.searcher.metric}"
    draft.emit(TrialInterrupted(**ids, attempt=body.attempt, outcome=outcome, reason=reason))
    trial = draft.experiment.trials[trial_id]
    if trial.failures > config.max_restarts:
        times = "once" if trial.failures == 1 else f"{trial.failures} times"
        draft.emit(TrialFailed(**ids, reason=f"failed {times}; the last time: {reason}"))
    elif trial.losses > MAX_LOSSES:
        times = f"{trial.losses} times"
        draft.emit(TrialFailed(**ids, reason=f"lost its machine {times}; the last time: {reason}"))
    else:
        draft.request(trial, draft.next_target(trial))
