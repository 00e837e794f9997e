"""What follows from what people ask for, and the programs of custom searches."""

from collections.abc import Sequence

from shoal_contract.events import (
    Event,
    ExperimentCancelRequested,
    ExperimentChangeRequested,
    ExperimentFinishRequested,
    ExperimentPauseRequested,
    ExperimentResumeRequested,
    Refused,
    SearchCancelled,
    SearchChanged,
    SearchClosing,
    SearchPaused,
    SearchResumed,
    TrialCancelled,
    TrialCreateRequested,
    TrialExtended,
    TrialExtendRequested,
    TrialPaused,
    TrialStopped,
    TrialStopRequested,
)
from shoal_contract.states import ExperimentState, TrialState
from shoal_searcher.core.draft import CHUNK, Draft, best_of, front_of
from shoal_searcher.core.expected import plans_of, units_of
from shoal_searcher.core.propose import Proposal, origin
from shoal_searcher.core.state import State, Trial

REQUESTS = (
    ExperimentPauseRequested, ExperimentResumeRequested, ExperimentCancelRequested,
    ExperimentChangeRequested, ExperimentFinishRequested, TrialCreateRequested,
    TrialExtendRequested, TrialStopRequested,
)  # fmt: skip
Request = (
    ExperimentPauseRequested
    | ExperimentResumeRequested
    | ExperimentCancelRequested
    | ExperimentChangeRequested
    | ExperimentFinishRequested
    | TrialCreateRequested
    | TrialExtendRequested
    | TrialStopRequested
)
CANCELLED = "the experiment was cancelled"
NOT_CUSTOM = "its searcher is not custom; its trials are the method's business"


def requested(state: State, body: Request) -> Sequence[Event]:
    """Obey, or refuse with a reason. What was obeyed already says nothing."""
    experiment = state.experiments.get(body.experiment_id)
    if experiment is None:
        return _too_late(state, body)
    draft = Draft.of(experiment)
    why: str | None = None
    match body:
        case ExperimentPauseRequested():
            _pause(draft)
        case ExperimentResumeRequested():
            why = _resume(draft)
        case ExperimentCancelRequested():
            _cancel(draft, at_once=body.at_once)
        case ExperimentChangeRequested():
            why = _change(draft, body)
        case ExperimentFinishRequested():
            why = _finish(draft)
        case TrialCreateRequested():
            why = _create(draft, body)
        case TrialExtendRequested():
            why = _extend(draft, body)
        case TrialStopRequested():
            why = _stop(draft, body)
    return draft.events if why is None else [_refusal(body, why)]


def _pause(draft: Draft) -> None:
    if draft.experiment.state is ExperimentState.ACTIVE:
        draft.emit(SearchPaused(experiment_id=draft.experiment.experiment_id))
        hold(draft)


def hold(draft: Draft) -> None:
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


def _resume(draft: Draft) -> str | None:
    experiment = draft.experiment
    if experiment.state is ExperimentState.PAUSED:
        draft.emit(SearchResumed(experiment_id=experiment.experiment_id))
        draft.fill()
    elif not experiment.resumed:
        return "it is not paused; nothing needs to be done"
    return None


def _cancel(draft: Draft, *, at_once: bool) -> None:
    """Those that hold slots first: what is too much for one batch follows by the tick."""
    experiment = draft.experiment
    left = [t for t in experiment.trials.values() if not t.over]
    for trial in sorted(left, key=lambda t: not t.holding)[:CHUNK]:
        draft.emit(cancelled(experiment.experiment_id, trial.trial_id, at_once=at_once))
    draft.emit(
        SearchCancelled(
            experiment_id=experiment.experiment_id,
            reason=CANCELLED,
            best=best_of(experiment),
            trials=len(experiment.trials),
            front=front_of(experiment),
            at_once=at_once,
        )
    )


def cancelled(
    experiment_id: str, trial_id: str, reason: str = CANCELLED, *, at_once: bool = False
) -> TrialCancelled:
    """That a trial is cancelled."""
    return TrialCancelled(
        experiment_id=experiment_id, trial_id=trial_id, reason=reason, at_once=at_once
    )


def _change(draft: Draft, body: ExperimentChangeRequested) -> str | None:
    experiment, searcher = draft.experiment, draft.experiment.config.searcher
    wanted = {
        "max_trials": body.max_trials,
        "max_concurrent_trials": body.max_concurrent_trials,
    }
    news = {}
    for name, value in wanted.items():
        if value is None:
            continue
        if not hasattr(searcher, name):
            return f"{searcher.name} has no {name}"
        changed = getattr(experiment, name)
        if value != (getattr(searcher, name) if changed is None else changed):
            news[name] = value
    if news:
        then = experiment.model_copy(update=news)
        draft.emit(
            SearchChanged(
                experiment_id=experiment.experiment_id,
                **news,
                units=units_of(then),
                brackets=plans_of(then),
            )
        )
        draft.fill()
    return None


def _finish(draft: Draft) -> str | None:
    experiment = draft.experiment
    if experiment.config.searcher.name != "custom":
        return NOT_CUSTOM
    if not experiment.closing:
        reason = "its program wants no more trials"
        draft.emit(
            SearchClosing(experiment_id=experiment.experiment_id, reason=reason, at_once=False)
        )
        draft.fill()
    return None


def _create(draft: Draft, body: TrialCreateRequested) -> str | None:
    experiment = draft.experiment
    if experiment.config.searcher.name != "custom":
        return NOT_CUSTOM
    if body.request_id in experiment.requests:
        return None
    if experiment.closing:
        return f"it takes no more trials: {experiment.closing}"
    full = experiment.config.searcher.max_time
    target = body.target or full
    if target > full:
        return f"the target {target} exceeds max_time, {full}"
    start = origin(experiment)
    draft.create(
        Proposal(
            body.hyperparameters, "program", target=target, request_id=body.request_id, **start
        )
    )
    draft.fill()
    return None


def _extend(draft: Draft, body: TrialExtendRequested) -> str | None:
    experiment = draft.experiment
    if experiment.config.searcher.name != "custom":
        return NOT_CUSTOM
    trial = experiment.trials.get(body.trial_id)
    if trial is None or trial.over:
        return _gone(trial, body.trial_id)
    if trial.target == body.target:
        return None
    full = experiment.config.searcher.max_time
    if body.target > full:
        return f"the target {body.target} exceeds max_time, {full}"
    if body.target <= trial.time or body.target < trial.target:
        return f"trial {trial.trial_id} has a target of {trial.target} already"
    if trial.state not in (TrialState.WANTED, TrialState.PAUSED):
        return f"trial {trial.trial_id} has not begun; extend it when it has"
    draft.emit(
        TrialExtended(
            experiment_id=experiment.experiment_id,
            trial_id=trial.trial_id,
            target=body.target,
            reason="its program said so",
        )
    )
    draft.fill()
    return None


def _stop(draft: Draft, body: TrialStopRequested) -> str | None:
    experiment = draft.experiment
    trial = experiment.trials.get(body.trial_id)
    if trial is None:
        return _gone(trial, body.trial_id)
    if trial.state in (TrialState.CANCELLED, TrialState.STOPPED):
        return None
    if trial.over:
        return _gone(trial, body.trial_id)
    if body.at_once:
        reason = "it was killed on request"
        draft.emit(cancelled(experiment.experiment_id, trial.trial_id, reason, at_once=True))
    elif experiment.config.searcher.name == "custom":
        draft.emit(
            TrialStopped(
                experiment_id=experiment.experiment_id,
                trial_id=trial.trial_id,
                reason="its program stopped it",
            )
        )
    else:
        draft.emit(cancelled(experiment.experiment_id, trial.trial_id, "a person stopped it"))
    draft.fill()
    return None


def _gone(trial: Trial | None, trial_id: str) -> str:
    return f"trial {trial_id} is {trial.state} already" if trial else f"it has no trial {trial_id}"


def _too_late(state: State, body: Request) -> Sequence[Event]:
    over = state.ended.get(body.experiment_id)
    if over is None:
        return [_refusal(body, "there is no such experiment; look at the list of experiments")]
    if isinstance(body, ExperimentCancelRequested) and over is ExperimentState.CANCELLED:
        return []
    return [_refusal(body, f"it is {over} already; submit it anew to run it again")]


VERBS = {
    ExperimentPauseRequested: "pause", ExperimentResumeRequested: "resume",
    ExperimentCancelRequested: "cancel", ExperimentChangeRequested: "change",
    ExperimentFinishRequested: "finish", TrialCreateRequested: "add a trial to",
    TrialExtendRequested: "extend a trial of", TrialStopRequested: "stop a trial of",
}  # fmt: skip


def _refusal(body: Request, why: str) -> Refused:
    return Refused(
        decider="searcher",
        message_type=body.type,
        subject_id=getattr(body, "trial_id", body.experiment_id),
        reason=f"cannot {VERBS[type(body)]} experiment {body.experiment_id}: {why}",
    )
