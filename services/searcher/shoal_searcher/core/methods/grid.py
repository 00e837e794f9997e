"""Grid search: every combination of the ranges' points."""

from shoal_searcher.core import space
from shoal_searcher.core.methods.base import FullLength
from shoal_searcher.core.propose import Proposal, origin
from shoal_searcher.core.state import Experiment


class Grid(FullLength):
    """Every point of the grid that meets the constraints, each trained in full."""

    def total(self, experiment: Experiment) -> int:
        """The number of points."""
        config = experiment.config
        return space.grid_size(config.hyperparameters, config.constraints)

    def propose(self, experiment: Experiment, number: int) -> Proposal:
        """The `number`-th point, the last hyperparameter changing fastest."""
        config = experiment.config
        point = space.grid_point(config.hyperparameters, number, config.constraints)
        return Proposal(point, "grid", **origin(experiment))
