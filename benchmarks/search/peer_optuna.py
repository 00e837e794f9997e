"""Optuna: random and TPE proposals, with asynchronous successive halving and with Hyperband.

TPE: Bergstra et al., https://papers.nips.cc/paper/4443, with Optuna 5's default (multivariate) and
with independent hyperparameters, which was the default before; halving: https://arxiv.org/abs/1810.05934
in the stopping form; Hyperband: https://jmlr.org/papers/v18/16-558.html. Rungs are `divisor^i` from
1. Driven as its documents say: ask, report, should_prune, tell.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.search.clock import Answer, Contender, Job
from benchmarks.search.settings import Settings
from benchmarks.search.table import Config, Space, Table

if TYPE_CHECKING:
    import optuna

Sampler = Literal["random", "TPE", "independent TPE"]
Pruner = Literal["halving", "Hyperband"]


@dataclass
class Optuna:
    """A study proposes and prunes."""

    table: Table
    settings: Settings
    study: "optuna.Study"
    trials: "list[optuna.Trial]" = field(default_factory=list)

    def next(self, now: float) -> Job | None:
        """A new trial, as long as there may be more."""
        if len(self.trials) == self.settings.trials:
            return None
        trial = self.study.ask()
        self.trials.append(trial)
        return Job(trial.number, suggest(trial, self.table.space))

    def report(self, trial: int, epoch: int, value: float, now: float) -> Answer:
        """Pruned, or trained in full."""
        from optuna.trial import TrialState

        found = self.trials[trial]
        found.report(value, epoch)
        if found.should_prune():
            self.study.tell(found, state=TrialState.PRUNED)
            return "stop"
        if epoch == self.table.max_time:
            self.study.tell(found, value)
        return "go_on"


def study_of(seed: int, sampler: Sampler, pruner: "optuna.pruners.BasePruner") -> "optuna.Study":
    """A study in memory. Its name decides the Hyperband bracket of each trial, so it is given."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers: dict[Sampler, Callable[..., optuna.samplers.BaseSampler]] = {
        "random": optuna.samplers.RandomSampler,
        "TPE": optuna.samplers.TPESampler,
        "independent TPE": partial(optuna.samplers.TPESampler, multivariate=False),
    }
    return optuna.create_study(
        study_name=f"seed-{seed}",
        direction="maximize",
        sampler=samplers[sampler](seed=seed),
        pruner=pruner,
    )


def pruned(sampler: Sampler, pruner: Pruner, table: Table, settings: Settings) -> Optuna:
    """One sampler with one pruner."""
    import optuna

    chosen: optuna.pruners.BasePruner
    if pruner == "halving":
        chosen = optuna.pruners.SuccessiveHalvingPruner(
            min_resource=1, reduction_factor=settings.divisor
        )
    else:
        chosen = optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=table.max_time, reduction_factor=settings.divisor
        )
    return Optuna(table, settings, study_of(settings.seed, sampler, chosen))


def suggest(trial: "optuna.Trial", space: Space) -> Config:
    """The same ranges in Optuna's words."""

    def value(name: str, spec: Any) -> Any:
        match spec["type"]:
            case "categorical":
                return trial.suggest_categorical(name, spec["vals"])
            case "log":
                base = spec.get("base", 10)
                low, high = base ** spec["minval"], base ** spec["maxval"]
                return trial.suggest_float(name, low, high, log=True)
            case "double":
                return trial.suggest_float(name, spec["minval"], spec["maxval"])
            case "int":
                return trial.suggest_int(name, spec["minval"], spec["maxval"])
            case other:
                raise ValueError(f"no range for {other}")

    return {name: value(name, spec) for name, spec in space.items()}


CONTENDERS: dict[str, Callable[[Table, Settings], Contender]] = {
    f"Optuna {sampler}, {pruner}": partial(pruned, sampler, pruner)
    for sampler in ("random", "TPE", "independent TPE")
    for pruner in ("halving", "Hyperband")
}
