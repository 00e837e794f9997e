"""The effect of each event on the state."""

from bisect import bisect_left, insort
from typing import Any

from shoal_contract.events import (
    Event,
    SearchAccepted,
    SearchBegun,
    SearchCancelled,
    SearchChanged,
    SearchClosing,
    SearchCompleted,
    SearchFailed,
    SearchPaused,
    SearchProposed,
    SearchResumed,
    SearchWarmed,
    TrialCancelled,
    TrialCheckpointed,
    TrialCreated,
    TrialExtended,
    TrialInterrupted,
    TrialMeasured,
    TrialPaused,
    TrialReleased,
    TrialRequested,
    TrialStarted,
)
from shoal_contract.states import TRIAL, ExperimentState, Outcome, TrialState
from shoal_searcher.core.fronts import insert, ranked
from shoal_searcher.core.sampling import counts_on_each, sampler_of
from shoal_searcher.core.state import BracketState, Experiment, Place, Rung, State, Trial


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
                    if isinstance(event, SearchCancelled) and event.at_once:
                        state.killed[event.experiment_id] = None
        case TrialCancelled() if event.experiment_id in state.closing:
            left = state.closing[event.experiment_id]
            state.closing[event.experiment_id] = [t for t in left if t != event.trial_id]
            if not state.closing[event.experiment_id]:
                del state.closing[event.experiment_id]
                state.killed.pop(event.experiment_id, None)
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
        accepted_at=event.at,
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
        case SearchWarmed():
            experiment.warmed, experiment.warmed_at = True, event.at
            experiment.past, experiment.source = event.results, event.checkpoint
            experiment.counted += len(event.results)
        case SearchProposed():
            if not counts_on_each(experiment):
                experiment.proposals.clear()
            experiment.proposals += event.proposals
            experiment.known = event.known
            experiment.asks.append((event.known, len(event.proposals)))
            experiment.failure = event.failure
        case SearchBegun():
            experiment.begun = True
        case SearchChanged():
            if event.max_trials is not None:
                experiment.max_trials = event.max_trials
            if event.max_concurrent_trials is not None:
                experiment.max_concurrent_trials = event.max_concurrent_trials
        case SearchClosing():
            experiment.closing, experiment.closing_at_once = event.reason, event.at_once
        case TrialCreated():
            _created(experiment, event)
        case _:
            trial = experiment.trials.get(getattr(event, "trial_id", ""))
            if trial is not None:
                _follow(experiment, trial, event)


def _created(experiment: Experiment, event: TrialCreated) -> None:
    experiment.trials[event.trial_id] = Trial(
        trial_id=event.trial_id,
        number=event.number,
        hyperparameters=event.hyperparameters,
        seed=event.seed,
        bracket=event.bracket,
        origin=event.origin,
        request_id=event.request_id,
        source=event.source,
        inherits=event.inherits,
        rung=event.rung,
        target=event.target or 0,
    )
    experiment.places[event.trial_id] = event.bracket
    while len(experiment.brackets) <= event.bracket:
        experiment.brackets.append(BracketState())
    experiment.brackets[event.bracket].created += 1
    experiment.copies += event.origin == "pbt"
    if event.request_id is not None:
        experiment.requests[event.request_id] = event.trial_id
    if experiment.proposals and event.origin == sampler_of(experiment).name:
        experiment.proposals.pop(0)


def _follow(experiment: Experiment, trial: Trial, event: Event) -> None:
    """Replace a trial by what an event makes of it, and keep what is found by it in order."""
    place = _waiting_place(experiment, trial)
    if place is not None:
        waiting = experiment.brackets[trial.bracket].rungs[trial.rung].waiting
        del waiting[bisect_left(waiting, place)]
    changes = _changes(experiment, trial, event)
    trial = trial.model_copy(update=changes)
    experiment.trials[trial.trial_id] = trial
    if trial.placed:
        experiment.places.setdefault(trial.trial_id, trial.bracket)
    else:
        experiment.places.pop(trial.trial_id, None)
    place = _waiting_place(experiment, trial)
    if place is not None:
        insort(experiment.brackets[trial.bracket].rungs[trial.rung].waiting, place)
    if trial.state in (TrialState.FAILED, TrialState.CANCELLED):
        experiment.gone[trial.number] = None


def _waiting_place(experiment: Experiment, trial: Trial) -> Place | None:
    """Where it stands among those that wait at its rung, if it does."""
    if not trial.waits:
        return None
    costs = experiment.rung(trial.bracket, trial.rung).costs.get(trial.number)
    return None if costs is None else (costs[0], trial.number)


def _changes(experiment: Experiment, trial: Trial, event: Event) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if event.type in TRIAL[trial.state]:
        changes["state"] = TRIAL[trial.state][event.type]
    match event:
        case TrialRequested():
            changes |= {
                "attempt": event.attempt,
                "holding": True,
                "started_at": None,
                "awaits": None,
                "target": event.task.target,
                "held_by_user": False,
            }
        case TrialStarted():
            changes |= {"started_at": event.at, "slots": event.slots}
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
            changes |= {"holding": False, "started_at": None, "awaits": event.awaits}
            experiment.slot_seconds += event.slot_seconds
        case TrialInterrupted():
            experiment.slot_seconds += event.slot_seconds
            changes |= {
                "holding": False,
                "started_at": None,
                "failures": trial.failures + (event.outcome is Outcome.FAILED),
                "losses": trial.losses + (event.outcome is Outcome.LOST),
            }
        case _ if changes.get("state") not in (None, TrialState.WANTED):
            changes["reason"] = getattr(event, "reason", "")
    return changes


def _measured(experiment: Experiment, trial: Trial, event: TrialMeasured) -> dict[str, Any]:
    costs = experiment.costs((event.metric, *event.objectives))
    changes: dict[str, Any] = {
        "time": event.time,
        "step": event.step,
        "costs": costs,
        "cost_sum": trial.cost_sum + costs[0],
        "results": trial.results + 1,
    }
    # A copy goes on from where its parent was, about at the rung that it has passed already.
    passed = experiment.rung(trial.bracket, trial.rung).target if trial.rung >= 0 else 0
    experiment.units += max(0, event.time - max(trial.time, passed))
    if event.metric is not None and experiment.better(event.metric, trial.best):
        newest = trial.checkpoint
        same = newest is not None and newest.step == event.step
        changes |= {
            "best": event.metric,
            "best_step": event.step,
            "best_checkpoint": newest if same else None,
        }
    if experiment.config.searcher.early_stopping:
        insort(
            experiment.means.setdefault(event.time, []), changes["cost_sum"] / changes["results"]
        )
    if event.rung is not None:
        if not trial.told:
            experiment.told.append((trial.number, costs))
            changes["told"] = True
        # A result that leapt over rungs stands for each of them.
        for rung in range(trial.rung + 1, event.rung + 1):
            _record(experiment, trial, rung, costs, event.time)
        changes["rung"] = event.rung
    return changes


def _record(experiment: Experiment, trial: Trial, rung: int, costs: list[float], time: int) -> None:
    rungs = experiment.brackets[trial.bracket].rungs
    while len(rungs) <= rung:
        rungs.append(Rung(target=time))
    rungs[rung].costs[trial.number] = costs
    insort(rungs[rung].order, (costs[0], trial.number))
    if len(costs) > 1:
        insert(rungs[rung].fronts, ranked(costs, trial.number))
    experiment.counted += 1
