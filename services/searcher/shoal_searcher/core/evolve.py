"""The effect of each event on the state."""

from typing import Any

from shoal_contract.events import (
    Event,
    SearchAccepted,
    SearchCancelled,
    SearchCompleted,
    SearchFailed,
    SearchPaused,
    SearchResumed,
    TrialCancelled,
    TrialCheckpointed,
    TrialCreated,
    TrialExtended,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialReleased,
    TrialRequested,
)
from shoal_contract.states import TRIAL, ExperimentState, Outcome, TrialState
from shoal_searcher.core.state import Experiment, State, Trial


def evolve(state: State, event: Event) -> State:
    """The state after an event; `state` is changed in place."""
    match event:
        case SearchAccepted():
            state.experiments[event.experiment_id] = begin(event)
        case SearchCompleted() | SearchCancelled() | SearchFailed():
            ended = state.experiments.pop(event.experiment_id, None)
            state.ended[event.experiment_id] = ExperimentState(event.type.removeprefix("search."))
            if ended is not None:
                left = [t.trial_id for t in ended.trials.values() if not t.over]
                if left:
                    state.closing[event.experiment_id] = left
        case TrialCancelled() if event.experiment_id in state.closing:
            left = state.closing[event.experiment_id]
            state.closing[event.experiment_id] = [t for t in left if t != event.trial_id]
            if not state.closing[event.experiment_id]:
                del state.closing[event.experiment_id]
        case _:
            experiment = state.experiments.get(getattr(event, "experiment_id", ""))
            if experiment is not None:
                evolve_experiment(experiment, event)
    return state


def begin(event: SearchAccepted) -> Experiment:
    """An experiment at its beginning."""
    return Experiment(
        experiment_id=event.experiment_id,
        config=event.config,
        bundle=event.bundle,
        storage_url=event.storage_url,
    )


def evolve_experiment(experiment: Experiment, event: Event) -> None:
    """Change an experiment by one of its events.

    Trials are replaced, never changed: a draft that shares them with the state stays apart.
    """
    match event:
        case SearchPaused():
            experiment.state = ExperimentState.PAUSED
        case SearchResumed():
            experiment.state = ExperimentState.ACTIVE
            experiment.resumed = True
        case SearchCompleted() | SearchCancelled() | SearchFailed():
            experiment.state = ExperimentState(event.type.removeprefix("search."))
        case TrialCreated():
            experiment.trials[event.trial_id] = Trial(
                trial_id=event.trial_id,
                number=event.number,
                hyperparameters=event.hyperparameters,
                seed=event.seed,
            )
        case _:
            trial = experiment.trials.get(getattr(event, "trial_id", ""))
            if trial is not None:
                experiment.trials[trial.trial_id] = trial.model_copy(
                    update=_changes(experiment, trial, event)
                )


def _changes(experiment: Experiment, trial: Trial, event: Event) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if event.type in TRIAL[trial.state]:
        changes["state"] = TRIAL[trial.state][event.type]
    match event:
        case TrialRequested():
            changes |= {
                "attempt": event.attempt,
                "holding": True,
                "target": event.task.target,
                "held_by_user": False,
            }
        case TrialExtended():
            changes["target"] = event.target
        case TrialMeasured():
            changes |= _measured(experiment, trial, event)
        case TrialCheckpointed():
            changes["checkpoint"] = event.checkpoint
            if trial.best is not None and event.checkpoint.step == trial.best_step:
                changes["best_checkpoint"] = event.checkpoint
        case TrialPaused():
            changes |= {"held_by_user": event.by_user, "reason": event.reason}
        case TrialReleased():
            changes["holding"] = False
        case TrialInterrupted():
            changes |= {
                "holding": False,
                "failures": trial.failures + (event.outcome is Outcome.FAILED),
                "losses": trial.losses + (event.outcome is Outcome.LOST),
            }
        case _ if changes.get("state") not in (None, TrialState.WANTED):
            changes["reason"] = getattr(event, "reason", "")
    return changes


def _measured(experiment: Experiment, trial: Trial, event: TrialMeasured) -> dict[str, Any]:
    changes: dict[str, Any] = {"time": event.time, "metric": event.metric}
    if event.metric is not None and experiment.better(event.metric, trial.best):
        newest = trial.checkpoint
        same = newest is not None and newest.step == event.step
        changes |= {
            "best": event.metric,
            "best_step": event.step,
            "best_checkpoint": newest if same else None,
        }
    if event.rung is not None:
        # A result that leapt over rungs stands for each of them.
        for rung in range(trial.rung + 1, event.rung + 1):
            while len(experiment.rungs) <= rung:
                experiment.rungs.append({})
            experiment.rungs[rung][trial.trial_id] = event.metric
        changes["rung"] = event.rung
    return changes
