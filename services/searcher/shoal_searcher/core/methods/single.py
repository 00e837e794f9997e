"""One trial, trained in full."""

from shoal_searcher.core.methods.base import FullLength


class Single(FullLength):
    """One trial. Ranges in its space are drawn from once."""
