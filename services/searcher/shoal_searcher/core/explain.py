"""Why a trial is where it is, in one sentence."""

from shoal_contract.states import TrialState
from shoal_searcher.core.state import State


def explain(state: State, trial_id: str) -> str:
    """One honest sentence on a trial of an experiment that is not over."""
    experiment_id = state.trial_of.get(trial_id)
    if experiment_id is None:
        return f"{trial_id} is not a trial of an experiment that is under way."
    trial = state.experiments[experiment_id].trials[trial_id]
    if trial.state is TrialState.WANTED:
        return f"{trial_id} is on its way to {trial.target} (attempt {trial.attempt})."
    why = f": {trial.reason}" if trial.reason else ""
    return f"{trial_id} is {trial.state}{why}."
