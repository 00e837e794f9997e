"""Random search: Bergstra and Bengio, JMLR 2012, https://jmlr.org/papers/v13/bergstra12a.html."""

from shoal_searcher.core.methods.base import FullLength


class Random(FullLength):
    """`max_trials` configurations, each trained in full: draws, or what its sampler proposes."""
