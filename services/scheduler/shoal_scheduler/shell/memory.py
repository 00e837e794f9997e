"""How often Python looks for garbage."""

import gc

SELDOM = (50_000, 20, 100)
"""New objects that are made before a look at the young, and looks before one at the older."""


def collect_seldom() -> None:
    """Look for cycles of garbage seldom: the core makes next to none, and its state is large."""
    gc.set_threshold(*SELDOM)
