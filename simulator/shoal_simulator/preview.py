"""What a search will do, before it does it."""

from typing import Any

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import SearchAccepted
from shoal_contract.parse import ConfigError, Problem
from shoal_searcher.core import space
from shoal_searcher.core.evolve import begin
from shoal_searcher.core.expected import plans_of, units_of


def preview(config: ExperimentConfig) -> dict[str, Any]:
    """The brackets, those that stop earliest first, and the units of training in all: as
    estimated (each rung passes its best 1/divisor on; a budget of units ends it), and if every
    trial trained in full.

    A method that trains everything in full has one bracket with one rung; where a program decides
    there are no units. Raises ConfigError if the searcher would refuse it.
    """
    if (why := space.problem_of(config)) is not None:
        path, _, message = why.partition(": ")
        raise ConfigError([Problem(path=path, message=message)])
    accepted = SearchAccepted(
        experiment_id="e", config=config, bundle=None, storage_url="memory://"
    )
    experiment = begin(accepted)
    plans = plans_of(experiment)
    return {
        "brackets": [plan.model_dump() for plan in plans],
        "total_units": units_of(experiment) or 0,
        "full_units": sum(plan.max_trials * config.searcher.max_time for plan in plans),
    }
