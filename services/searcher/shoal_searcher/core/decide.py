"""What follows from each message."""

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
    SearchFailed,
    SearchPaused,
    SearchResumed,
    TrialCancelled,
    TrialPaused,
    ValidationReported,
)
from shoal_contract.states import ExperimentState
from shoal_decider import Message, Tick
from shoal_searcher.core import space
from shoal_searcher.core.draft import CHUNK, Draft, best_of
from shoal_searcher.core.evolve import begin
from shoal_searcher.core.state import State
from shoal_searcher.core.trials import checkpointed, ended, reported

Request = ExperimentPauseRequested | ExperimentResumeRequested | ExperimentCancelRequested
CANCELLED = "the experiment was cancelled"


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
            return reported(*found, body) if found else []
        case CheckpointSaved() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return checkpointed(*found, body) if found else []
        case AllocationEnded() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return ended(*found, body) if found else []
        case Tick():
            return _go_on(state)
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
    if (why := space.problem(body.config.hyperparameters)) is not None:
        return [accepted, SearchFailed(experiment_id=body.experiment_id, reason=why)]
    draft = Draft(begin(accepted), [accepted])
    draft.fill()
    return draft.events


def _requested(state: State, body: Request) -> Sequence[Event]:
    experiment = state.experiments.get(body.experiment_id)
    if experiment is None:
        return _too_late(state, body)
    draft = Draft.of(experiment)
    match body:
        case ExperimentPauseRequested() if experiment.state is ExperimentState.ACTIVE:
            draft.emit(SearchPaused(experiment_id=body.experiment_id))
            _hold(draft)
        case ExperimentResumeRequested() if experiment.state is ExperimentState.PAUSED:
            draft.emit(SearchResumed(experiment_id=body.experiment_id))
            draft.fill()
        case ExperimentResumeRequested() if not experiment.resumed:
            return [_refusal(body, "it is not paused; nothing needs to be done")]
        case ExperimentCancelRequested():
            _cancel(draft)
        case _:
            pass  # obeyed already
    return draft.events


def _too_late(state: State, body: Request) -> Sequence[Event]:
    over = state.ended.get(body.experiment_id)
    if over is None:
        return [_refusal(body, "there is no such experiment; look at the list of experiments")]
    if isinstance(body, ExperimentCancelRequested) and over is ExperimentState.CANCELLED:
        return []
    return [_refusal(body, f"it is {over} already; submit it anew to run it again")]


def _refusal(body: Request, why: str) -> Refused:
    verb = body.type.removeprefix("experiment.").removesuffix("_requested")
    return Refused(
        decider="searcher",
        message_type=body.type,
        subject_id=body.experiment_id,
        reason=f"cannot {verb} experiment {body.experiment_id}: {why}",
    )


def _hold(draft: Draft) -> None:
    """Pause what is in the air, with its experiment."""
    for trial in list(draft.experiment.trials.values()):
        if trial.active and len(draft.events) < CHUNK:
            draft.emit(
                TrialPaused(
                    experiment_id=draft.experiment.experiment_id,
                    trial_id=trial.trial_id,
                    reason="the experiment was paused",
                    by_user=True,
                )
            )


def _cancel(draft: Draft) -> None:
    """Those that hold slots first: what is too much for one batch follows by the tick."""
    experiment = draft.experiment
    left = [t for t in experiment.trials.values() if not t.over]
    for trial in sorted(left, key=lambda t: not t.holding)[:CHUNK]:
        draft.emit(_cancelled(experiment.experiment_id, trial.trial_id))
    draft.emit(
        SearchCancelled(
            experiment_id=experiment.experiment_id,
            reason=CANCELLED,
            best=best_of(experiment),
            trials=len(experiment.trials),
        )
    )


def _cancelled(experiment_id: str, trial_id: str) -> TrialCancelled:
    return TrialCancelled(experiment_id=experiment_id, trial_id=trial_id, reason=CANCELLED)


def _go_on(state: State) -> Sequence[Event]:
    """The next part of what was too much for one batch, for one experiment at a time."""
    for experiment_id, left in state.closing.items():
        return [_cancelled(experiment_id, trial_id) for trial_id in left[:CHUNK]]
    for experiment in state.experiments.values():
        draft = Draft.of(experiment)
        if experiment.state is ExperimentState.ACTIVE:
            draft.fill()
        else:
            _hold(draft)
        if draft.events:
            return draft.events
    return []
