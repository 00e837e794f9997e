"""What follows from each message."""

from collections.abc import Sequence

from shoal_contract.events import (
    AllocationEnded,
    AllocationGranted,
    CheckpointSaved,
    Event,
    ExperimentSubmitted,
    SearchAccepted,
    SearchFailed,
    SearchProposed,
    SearchWarmed,
    ValidationReported,
)
from shoal_contract.events.instance import ExperimentBudgetCrossed
from shoal_contract.states import ExperimentState
from shoal_decider import Message, Tick
from shoal_searcher.core import requests, space, stopping
from shoal_searcher.core.draft import CHUNK, Draft
from shoal_searcher.core.evolve import begin
from shoal_searcher.core.expected import plans_of, units_of
from shoal_searcher.core.messages import Found, Proposals
from shoal_searcher.core.sampling import sampler_of
from shoal_searcher.core.state import Experiment, State
from shoal_searcher.core.trials import checkpointed, ended, granted, reported


def decide(state: State, message: Message) -> Sequence[Event]:
    """What follows from one message. What is unknown, over or old has no effect."""
    match message.body:
        case ExperimentSubmitted() as body:
            return _submitted(state, body, message.now)
        case ValidationReported() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return reported(*found, body, message.now) if found else []
        case CheckpointSaved() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return checkpointed(*found, body) if found else []
        case AllocationGranted() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return granted(*found, body) if found else []
        case AllocationEnded() as body:
            found = state.trial(body.experiment_id, body.trial_id)
            return ended(*found, body) if found else []
        case Proposals() as body:
            return _proposed(state.experiments.get(body.experiment_id), body)
        case Found() as body:
            return _found(state.experiments.get(body.experiment_id), body, message.now)
        case ExperimentBudgetCrossed() as body:
            spender = state.experiments.get(body.experiment_id)
            closing = stopping.of_money(spender, body) if spender is not None else None
            return [closing] if closing is not None else []
        case Tick():
            return _go_on(state, message.now)
        case body if isinstance(body, requests.REQUESTS):
            return requests.requested(state, body)
        case _:
            return []


def _submitted(state: State, body: ExperimentSubmitted, now: float) -> Sequence[Event]:
    if body.experiment_id in state.experiments or body.experiment_id in state.ended:
        return []
    accepted = SearchAccepted(
        experiment_id=body.experiment_id,
        config=body.config,
        bundle=body.bundle,
        storage_url=body.storage_url,
        at=now,
    )
    if (why := space.problem_of(body.config)) is not None:
        return [accepted, SearchFailed(experiment_id=body.experiment_id, reason=why)]
    begun = begin(accepted)
    told = {"units": units_of(begun), "brackets": plans_of(begun)}
    accepted = accepted.model_copy(update=told)
    draft = Draft(begin(accepted), [accepted])
    draft.fill()
    return draft.events


def _proposed(experiment: Experiment | None, body: Proposals) -> Sequence[Event]:
    """Keep a sampler's answer, if it is the one that was asked for last."""
    if experiment is None or body.ask != len(experiment.asks) or experiment.closing:
        return []
    draft = Draft.of(experiment)
    draft.emit(
        SearchProposed(
            experiment_id=experiment.experiment_id,
            sampler=sampler_of(experiment).name,
            known=body.known,
            proposals=body.proposals,
            failure=body.failure,
        )
    )
    draft.fill()
    return draft.events


def _found(experiment: Experiment | None, body: Found, now: float) -> Sequence[Event]:
    """Begin with what was found to start from."""
    if experiment is None or experiment.warmed:
        return []
    if body.missing:
        return [SearchFailed(experiment_id=experiment.experiment_id, reason=body.missing)]
    draft = Draft.of(experiment)
    draft.emit(
        SearchWarmed(
            experiment_id=experiment.experiment_id,
            results=body.results,
            checkpoint=body.checkpoint,
            at=now,
        )
    )
    draft.fill()
    return draft.events


def _go_on(state: State, now: float) -> Sequence[Event]:
    """What time brings, and the next part of what was too much for one batch, for one experiment
    at a time."""
    for experiment_id, left in state.closing.items():
        at_once = experiment_id in state.killed
        return [
            requests.cancelled(experiment_id, trial_id, at_once=at_once)
            for trial_id in left[:CHUNK]
        ]
    for experiment in state.experiments.values():
        draft = Draft.of(experiment)
        if (closing := stopping.spent(experiment, now)) is not None:
            draft.emit(closing)
        if experiment.state is ExperimentState.ACTIVE or draft.experiment.closing_at_once:
            draft.fill(now)
        else:
            requests.hold(draft)
        if draft.events:
            return draft.events
    return []
