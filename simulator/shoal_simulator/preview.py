"""What a search will do, before it does it."""

from typing import Any

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import SearchAccepted
from shoal_searcher.core.evolve import begin
from shoal_searcher.core.expected import units_in
from shoal_searcher.core.methods import METHODS


def preview(config: ExperimentConfig) -> dict[str, Any]:
    """The brackets, those that stop earliest first, and the units of training in all: as
    estimated (each rung passes its best 1/divisor on), and if every trial trained in full.

    A method that trains everything in full has one bracket with one rung.
    """
    accepted = SearchAccepted(
        experiment_id="e", config=config, bundle=None, storage_url="memory://"
    )
    plans = METHODS[config.searcher.name].brackets(begin(accepted))
    return {
        "brackets": [
            {
                "rungs": list(plan.targets),
                "max_trials": plan.max_trials,
                "max_concurrent_trials": min(plan.max_concurrent, max(1, plan.max_trials))
                if plan.max_concurrent > 10**9
                else plan.max_concurrent,
            }
            for plan in plans
        ],
        "total_units": sum(units_in(config, plan) for plan in plans),
        "full_units": sum(plan.max_trials * config.searcher.max_time for plan in plans),
    }
