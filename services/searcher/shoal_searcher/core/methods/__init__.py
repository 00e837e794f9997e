"""The search methods, one contract for all."""

from shoal_searcher.core.methods.async_halving import AsyncHalving
from shoal_searcher.core.methods.base import Complete, Extend, Method, Pause, Stop
from shoal_searcher.core.methods.grid import Grid
from shoal_searcher.core.methods.random import Random
from shoal_searcher.core.methods.single import Single

METHODS: dict[str, Method] = {
    "single": Single(),
    "random": Random(),
    "grid": Grid(),
    "async_halving": AsyncHalving(),
}

__all__ = ["METHODS", "Complete", "Extend", "Method", "Pause", "Stop"]
