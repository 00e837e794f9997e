"""Grid search: every combination of the ranges' points."""

from typing import Any

from shoal_searcher.core import space
from shoal_searcher.core.methods.base import FullLength
from shoal_searcher.core.state import Experiment


class Grid(FullLength):
    """Every point of the grid, each trained in full."""

    def total(self, experiment: Experiment) -> int:
        """The number of points."""
        return space.grid_size(experiment.config.hyperparameters)

    def propose(self, experiment: Experiment, number: int) -> dict[str, Any]:
        """The `number`-th point, the last hyperparameter changing fastest."""
        return space.grid_point(experiment.config.hyperparameters, number)
