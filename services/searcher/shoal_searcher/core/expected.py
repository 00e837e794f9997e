"""What a search will do, as far as it can be told before."""

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import BracketPlan
from shoal_contract.searchers import CustomSearcher, Halving, HyperbandSearcher
from shoal_searcher.core.methods import METHODS, Bracket
from shoal_searcher.core.methods.async_halving import cut, exact
from shoal_searcher.core.state import Experiment


def plans_of(experiment: Experiment) -> list[BracketPlan]:
    """The brackets of its method, the one that stops earliest first. Where a program decides there
    are no rungs; a limit that no number of trials reaches is that number."""
    searcher = experiment.config.searcher
    return [
        BracketPlan(
            rungs=[] if isinstance(searcher, CustomSearcher) else list(plan.targets),
            max_trials=plan.max_trials,
            max_concurrent_trials=min(plan.max_concurrent, max(1, plan.max_trials))
            if plan.max_concurrent > 10**9
            else plan.max_concurrent,
        )
        for plan in METHODS[searcher.name].brackets(experiment)
    ]


def units_of(experiment: Experiment) -> int | None:
    """Units of the time metric that all trials train, if each rung passes its best 1/divisor on,
    up to a budget of them; None: a program decides."""
    config = experiment.config
    if isinstance(config.searcher, CustomSearcher):
        return None
    plans = METHODS[config.searcher.name].brackets(experiment)
    units = sum(units_in(config, plan) for plan in plans)
    budget = config.searcher.budget
    return units if budget is None or budget.units is None else min(units, budget.units)


def units_in(config: ExperimentConfig, plan: Bracket) -> int:
    """Those of one bracket."""
    searcher = config.searcher
    if not isinstance(searcher, Halving | HyperbandSearcher):
        return plan.max_trials * searcher.max_time
    least = 0 if isinstance(searcher, Halving) and not searcher.stop_once else 1
    units, trials, before = 0, plan.max_trials, 0
    for rung, target in enumerate(plan.targets, 1):
        units += trials * (target - before)
        if isinstance(searcher, Halving):
            trials = cut(trials, searcher.divisor, searcher.round_up)
        else:
            trials = int(plan.max_trials / exact(searcher.divisor) ** rung)
        trials, before = max(least, trials), target
    return units
