"""Random search: Bergstra and Bengio, JMLR 2012, https://jmlr.org/papers/v13/bergstra12a.html."""

from shoal_contract.config import RandomSearcher
from shoal_searcher.core.methods.base import FullLength
from shoal_searcher.core.state import Experiment


class Random(FullLength):
    """`max_trials` independent draws, each trained in full."""

    def total(self, experiment: Experiment) -> int:
        """`max_trials`."""
        searcher = experiment.config.searcher
        return searcher.max_trials if isinstance(searcher, RandomSearcher) else 1
