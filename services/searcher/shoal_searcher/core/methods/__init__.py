"""The search methods, one contract for all."""

from shoal_searcher.core.methods.adaptive_asha import AdaptiveAsha
from shoal_searcher.core.methods.async_halving import AsyncHalving
from shoal_searcher.core.methods.base import (
    Bracket,
    Complete,
    Extend,
    Method,
    Pause,
    Replace,
    Stop,
    concurrent,
)
from shoal_searcher.core.methods.custom import Custom
from shoal_searcher.core.methods.grid import Grid
from shoal_searcher.core.methods.hyperband import Hyperband
from shoal_searcher.core.methods.pbt import Pbt
from shoal_searcher.core.methods.random import Random
from shoal_searcher.core.methods.single import Single

METHODS: dict[str, Method] = {
    "single": Single(),
    "random": Random(),
    "grid": Grid(),
    "async_halving": AsyncHalving(),
    "adaptive_asha": AdaptiveAsha(),
    "hyperband": Hyperband(),
    "pbt": Pbt(),
    "custom": Custom(),
}

__all__ = [
    "METHODS", "Bracket", "Complete", "Extend", "Method", "Pause", "Replace", "Stop", "concurrent",
]  # fmt: skip
