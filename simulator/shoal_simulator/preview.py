"""What a search will do, before it does it."""

from typing import Any

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import SearchAccepted
from shoal_searcher.core.evolve import begin
from shoal_searcher.core.expected import plans_of, units_in
from shoal_searcher.core.methods import METHODS


def preview(config: ExperimentConfig) -> dict[str, Any]:
    """The brackets, those that stop earliest first, and the units of training in all: as
    estimated (each rung passes its best 1/divisor on), and if every trial trained in full.

    A method that trains everything in full has one bracket with one rung.
    """
    accepted = SearchAccepted(
        experiment_id="e", config=config, bundle=None, storage_url="memory://"
    )
    experiment = begin(accepted)
    plans = METHODS[config.searcher.name].brackets(experiment)
    return {
        "brackets": [plan.model_dump() for plan in plans_of(experiment)],
        "total_units": sum(units_in(config, plan) for plan in plans),
        "full_units": sum(plan.max_trials * config.searcher.max_time for plan in plans),
    }
