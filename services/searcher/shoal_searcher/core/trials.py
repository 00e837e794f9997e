"""What follows from a trial's results, its checkpoints and the beginnings and ends of attempts."""

import math
from collections.abc import Sequence

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
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
    TrialStarted,
    TrialStopped,
    ValidationReported,
)
from shoal_contract.states import Outcome, TrialState
from shoal_searcher.core import stopping
from shoal_searcher.core.draft import Draft
from shoal_searcher.core.methods import Complete, Extend, Pause, Replace, Stop
from shoal_searcher.core.state import Experiment, Trial

MAX_LOSSES = 20
"""How often a trial may lose its machine and be started again: it may be the cause."""


def reported(
    experiment: Experiment, trial: Trial, body: ValidationReported, now: float
) -> Sequence[Event]:
    """Count a result, if it is news, and act on it where results are judged.

    A result of an earlier attempt counts too: the news that the attempt ended comes on another
    stream and may be heard first, and a result that was reported is never lost.
    """
    if trial.over or not 1 <= body.attempt <= trial.attempt or body.time <= trial.time:
        return []
    values = [_finite(body.metrics.get(name)) for name, _ in experiment.config.searcher.directions]
    draft = Draft.of(experiment)
    passed = draft.method.passed(experiment, trial, body.time)
    rung = passed if passed > trial.rung else None
    draft.emit(
        TrialMeasured(
            experiment_id=experiment.experiment_id,
            trial_id=trial.trial_id,
            step=body.step,
            time=body.time,
            metric=values[0],
            objectives=values[1:],
            rung=rung,
        )
    )
    if rung is not None:
        _judge(draft, trial.trial_id, rung)
    trial = draft.experiment.trials[trial.trial_id]
    if trial.state is TrialState.WANTED and trial.awaits is not None and trial.time >= trial.awaits:
        _complete(draft, trial.trial_id)
    elif trial.active and (why := stopping.hopeless(draft.experiment, trial)) is not None:
        draft.emit(TrialStopped(**_ids(experiment, trial.trial_id), reason=why))
    if (closing := stopping.spent(draft.experiment, now)) is not None:
        draft.emit(closing)
    if len(draft.events) > 1:
        draft.fill()
    return draft.events


def _complete(draft: Draft, trial_id: str) -> None:
    """A trial whose script ended by itself, with a result."""
    place = draft.method.standing(draft.experiment, draft.experiment.trials[trial_id])
    reason = f"the script ended by itself: {place}"
    draft.emit(TrialCompleted(**_ids(draft.experiment, trial_id), reason=reason))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _ids(experiment: Experiment, trial_id: str) -> dict[str, str]:
    return {"experiment_id": experiment.experiment_id, "trial_id": trial_id}


def _judge(draft: Draft, trial_id: str, rung: int) -> None:
    experiment = draft.experiment
    trial, ids = experiment.trials[trial_id], _ids(experiment, trial_id)
    match draft.method.judge(experiment, trial, rung):
        case Extend(target=target, reason=reason):
            # A paused trial cannot train on at once: `fill` starts it again, in its turn.
            if trial.state is TrialState.WANTED:
                draft.emit(TrialExtended(**ids, target=target, reason=reason))
        case Pause(reason=reason):
            draft.emit(TrialPaused(**ids, reason=reason))
        case Stop(reason=reason):
            draft.emit(TrialStopped(**ids, reason=reason))
        case Replace(by=proposal, reason=reason):
            draft.replace(trial, proposal, reason)
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
        TrialCheckpointed(**_ids(experiment, trial.trial_id), checkpoint=body.checkpoint),
    ]


def granted(experiment: Experiment, trial: Trial, body: AllocationGranted) -> Sequence[Event]:
    """Note that an attempt has its slots."""
    if body.attempt != trial.attempt or not trial.holding or trial.started_at is not None:
        return []
    return [
        TrialStarted(
            **_ids(experiment, trial.trial_id),
            attempt=body.attempt,
            slots=sum(len(placement.slots) for placement in body.placements),
            at=body.at,
        )
    ]


def ended(experiment: Experiment, trial: Trial, body: AllocationEnded) -> Sequence[Event]:
    """Start a trial again whose attempt ended unasked, or close it."""
    if body.attempt != trial.attempt or not trial.holding:
        return []
    draft = Draft.of(experiment)
    ids, used = _ids(experiment, trial.trial_id), body.slots * body.seconds
    released = TrialReleased(**ids, attempt=body.attempt, slot_seconds=used)
    last = -1 if body.last_time is None else body.last_time
    if trial.state is not TrialState.WANTED:
        draft.emit(released)
    elif body.outcome is Outcome.COMPLETED and trial.time < last:
        draft.emit(released.model_copy(update={"awaits": last}))
    elif body.outcome is Outcome.COMPLETED and trial.time >= 0:
        _complete(draft, trial.trial_id)
        draft.emit(released)
    else:
        _interrupted(draft, trial.trial_id, body, used)
    draft.fill()
    return draft.events


def _interrupted(draft: Draft, trial_id: str, body: AllocationEnded, used: float) -> None:
    config, ids = draft.experiment.config, _ids(draft.experiment, trial_id)
    outcome, reason = body.outcome, body.reason
    if outcome is Outcome.COMPLETED:
        outcome = Outcome.FAILED
        reason = f"ended without reporting the metric {config.searcher.metric}"
    draft.emit(
        TrialInterrupted(
            **ids, attempt=body.attempt, outcome=outcome, reason=reason, slot_seconds=used
        )
    )
    trial = draft.experiment.trials[trial_id]
    if trial.failures > config.max_restarts:
        times = "once" if trial.failures == 1 else f"{trial.failures} times"
        _failed(draft, trial, f"failed {times}; the last time: {reason}")
    elif trial.losses > MAX_LOSSES:
        _failed(draft, trial, f"lost its machine {trial.losses} times; the last time: {reason}")
    else:
        draft.start(trial, f"again, after its attempt {body.attempt} was {outcome}")


def _failed(draft: Draft, trial: Trial, reason: str) -> None:
    draft.emit(TrialFailed(**_ids(draft.experiment, trial.trial_id), reason=reason))
    replacement = draft.method.replacement(draft.experiment, trial)
    if replacement is not None and not draft.experiment.closing:
        draft.create(replacement, trial.bracket)
