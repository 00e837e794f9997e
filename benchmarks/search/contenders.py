"""Who takes part, and what each is told. `CONTENDERS` is the list; add to it by a line."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.search import peer_optuna, peer_ray, peer_syne, shoal
from benchmarks.search.clock import Answer, Contender, Job
from benchmarks.search.settings import Settings
from benchmarks.search.table import Config, Table, draw


@dataclass
class FullLength:
    """Trains each of a list of configurations in full."""

    proposals: list[Config]
    started: int = 0

    def next(self, now: float) -> Job | None:
        """The next of the list."""
        if self.started == len(self.proposals):
            return None
        self.started += 1
        return Job(self.started - 1, self.proposals[self.started - 1])

    def report(self, trial: int, epoch: int, value: float, now: float) -> Answer:
        """Always on."""
        return "go_on"


def random_search(table: Table, settings: Settings) -> FullLength:
    """Random search: Bergstra and Bengio, https://jmlr.org/papers/v13/bergstra12a.html."""
    rng = np.random.default_rng(settings.seed)
    return FullLength([draw(table.space, rng) for _ in range(settings.trials)])


def grid(table: Table, settings: Settings) -> FullLength:
    """Every configuration of the table, in a random order."""
    order = np.random.default_rng(settings.seed).permutation(len(table.configurations))
    return FullLength([table.configurations[i] for i in order])


CONTENDERS: dict[str, Callable[[Table, Settings], Contender]] = {
    "grid, full length": grid,
    "random, full length": random_search,
    **peer_ray.CONTENDERS,
    **peer_syne.CONTENDERS,
    **peer_optuna.CONTENDERS,
    **shoal.CONTENDERS,
}
SLOW = tuple(name for name in CONTENDERS if any(word in name for word in ("MOBSTER", "BOHB", "GP")))
"""Those that think for minutes a seed; they take part only when asked to."""
