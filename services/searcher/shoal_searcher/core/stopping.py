"""Ending early: a trial that has no hope, a search whose budget is spent."""

from collections.abc import Callable

from shoal_contract.events import SearchClosing
from shoal_contract.events.instance import ExperimentBudgetCrossed
from shoal_searcher.core.ranking import above_median
from shoal_searcher.core.state import Experiment, Trial


def hopeless(experiment: Experiment, trial: Trial) -> str | None:
    """Why a trial is to be stopped by one of the experiment's rules, after its last result."""
    for rule in experiment.config.searcher.early_stopping:
        means = experiment.means.get(trial.time, [])
        if trial.time <= rule.grace_time or len(means) <= rule.min_trials:
            continue
        best = experiment.cost(trial.best)
        if above_median(means, trial.cost_sum / trial.results, best):
            return (
                f"median rule: its best result up to {trial.time} is worse than the median of"
                f" {len(means) - 1} other trials' running means there"
            )
    return None


def spent(experiment: Experiment, now: float) -> SearchClosing | None:
    """That the experiment's budget is spent at `now`, if it is and was not said before."""
    budget = experiment.config.searcher.budget
    if budget is None or experiment.closing_at_once:
        return None
    used: dict[str, Callable[[], float]] = {
        "hours": lambda: (now - experiment.accepted_at) / 3600,
        "slot_hours": lambda: slot_seconds(experiment, now) / 3600,
        "units": lambda: experiment.units,
    }
    for name, amount in used.items():
        limit = getattr(budget, name)
        if limit is not None and amount() >= limit:
            return SearchClosing(
                experiment_id=experiment.experiment_id,
                reason=f"the budget of {limit:g} {name.replace('_', ' ')} is spent",
                at_once=True,
            )
    return None


def of_money(experiment: Experiment, body: ExperimentBudgetCrossed) -> SearchClosing | None:
    """That the experiment's money is spent, as the provisioner says, if it was not said before."""
    if body.share < 1 or experiment.closing_at_once:
        return None
    return SearchClosing(
        experiment_id=experiment.experiment_id,
        reason=f"the budget of {body.limit:g} USD is spent",
        at_once=True,
    )


def slot_seconds(experiment: Experiment, now: float) -> float:
    """Seconds times slots that the experiment has used so far."""
    return experiment.slot_seconds + sum(
        trial.slots * max(0.0, now - trial.started_at)
        for trial in experiment.trials.values()
        if trial.started_at is not None
    )
