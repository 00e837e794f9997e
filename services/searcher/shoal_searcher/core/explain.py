"""Why a trial is where it is, in one sentence."""

from shoal_contract.states import ExperimentState, TrialState
from shoal_searcher.core.draft import concurrent
from shoal_searcher.core.methods import METHODS
from shoal_searcher.core.state import Experiment, State, Trial


def explain(state: State, trial_id: str) -> str:
    """One honest sentence on a trial."""
    experiment_id = trial_id.rpartition("-")[0]
    if experiment_id in state.ended:
        return f"Experiment {experiment_id} is {state.ended[experiment_id]}; its trials are over."
    found = state.trial(experiment_id, trial_id)
    if found is None:
        return f"The searcher knows no trial {trial_id}."
    return f"Trial {trial_id} {_standing(*found)}."


def _standing(experiment: Experiment, trial: Trial) -> str:
    place = METHODS[experiment.config.searcher.name].standing(experiment, trial)
    if trial.active:
        return (
            f"trains up to {trial.target} in attempt {trial.attempt}, or waits for slots; {place}"
        )
    if trial.state is not TrialState.PAUSED:
        return f"is {trial.state}" + (f": {trial.reason}" if trial.reason else "")
    if experiment.state is ExperimentState.PAUSED and trial.held_by_user:
        return f"is paused because its experiment is; {place}"
    if trial.holding:
        return f"is paused and has not given its slots back yet; {place}"
    if trial.held_by_user:
        return f"is about to go on after its experiment's pause; {place}"
    promotable = METHODS[experiment.config.searcher.name].promotable(experiment)
    if trial.trial_id in (found for found, _ in promotable):
        most = concurrent(experiment)
        return f"has earned its promotion and waits for one of {most} places to be free; {place}"
    return f"is paused until more results make it one of the best of its rung; {place}"
