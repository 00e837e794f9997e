"""The methods that train every configuration in full: single, random, grid."""

import itertools
from typing import Any

from shoal_contract.config import GridSearcher, RandomSearcher
from shoal_searcher.core import space
from shoal_searcher.core.methods.base import Complete, Verdict
from shoal_searcher.core.state import Experiment, Trial


class Single:
    """One trial, trained in full. Ranges in its space are drawn from once."""

    def total(self, experiment: Experiment) -> int:
        """One."""
        return 1

    def propose(self, experiment: Experiment, number: int) -> dict[str, Any]:
        """A draw from the space, by the experiment's seed and the trial's number."""
        config = experiment.config
        return space.sample(config.hyperparameters, space.trial_seed(config.seed, number))

    def targets(self, experiment: Experiment) -> list[int]:
        """The full length alone."""
        return [experiment.config.searcher.max_time]

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """At the full length a trial is complete."""
        return Complete(f"trained in full, {experiment.config.searcher.max_time}")

    def promotable(self, experiment: Experiment) -> list[tuple[str, int]]:
        """Nothing is ever paused."""
        return []


class Random(Single):
    """`max_trials` independent draws."""

    def total(self, experiment: Experiment) -> int:
        """`max_trials`."""
        searcher = experiment.config.searcher
        return searcher.max_trials if isinstance(searcher, RandomSearcher) else 1


class Grid(Single):
    """Every point of the grid."""

    def total(self, experiment: Experiment) -> int:
        """The number of points."""
        if not isinstance(experiment.config.searcher, GridSearcher):
            return 1
        return space.grid_size(experiment.config.hyperparameters)

    def propose(self, experiment: Experiment, number: int) -> dict[str, Any]:
        """The `number`-th point."""
        points = space.grid(experiment.config.hyperparameters)
        return next(itertools.islice(points, number, None))
