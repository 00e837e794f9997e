"""Syne Tune: ASHA in the stopping and the promotion form, MOBSTER, and asynchronous BOHB.

ASHA: https://arxiv.org/abs/1810.05934, MOBSTER: https://arxiv.org/abs/2003.10865, BOHB:
https://arxiv.org/abs/1807.01774. Version 0.14.2 is the last that has MOBSTER and promotion. Driven
as its `Tuner` does. Its rungs are given, and are those of `rungs()`: the same as Shoal's.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.search.clock import Answer, Contender, Job
from benchmarks.search.settings import Settings
from benchmarks.search.table import Space, Table

ANSWERS: dict[str, Answer] = {"CONTINUE": "go_on", "STOP": "stop", "PAUSE": "pause"}
EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


def rungs(max_time: int, divisor: int) -> list[int]:
    """`max_time / divisor^i`, floored, at least 1, ascending, without `max_time` itself.

    >>> rungs(81, 4)
    [1, 5, 20]
    """
    found, power = set(), divisor
    while power <= max_time:
        found.add(max_time // power)
        power *= divisor
    return sorted(found)


@dataclass
class SyneTune:
    """A scheduler of Syne Tune proposes and decides."""

    settings: Settings
    scheduler: Any
    trials: list[Any] = field(default_factory=list)

    def next(self, now: float) -> Job | None:
        """A new trial, or a promoted one; once no more trials may start, only promoted ones."""
        from syne_tune.backend.trial_status import Trial

        number = len(self.trials)
        if number == self.settings.trials:
            return self._promoted(number)
        suggestion = self.scheduler.suggest(number)
        if suggestion is None:
            return None
        if not suggestion.spawn_new_trial_id:
            trial = self.trials[suggestion.checkpoint_trial_id]
            return Job(trial.trial_id, trial.config)
        trial = Trial(number, suggestion.config, EPOCH)
        self.trials.append(trial)
        self.scheduler.on_trial_add(trial)
        return Job(number, trial.config)

    def _promoted(self, number: int) -> Job | None:
        """What `suggest` does first: promote; but without a proposal if nothing is promotable."""
        promoted, _ = self.scheduler._promote_trial(str(number))
        if promoted is None:
            return None
        trial = self.trials[int(promoted)]
        return Job(trial.trial_id, trial.config)

    def report(self, trial: int, epoch: int, value: float, now: float) -> Answer:
        """What the scheduler says."""
        found = self.trials[trial]
        answer = self.scheduler.on_trial_result(found, {"epoch": epoch, "accuracy": value})
        if answer != "CONTINUE":
            self.scheduler.on_trial_remove(found)
        return ANSWERS[answer]


def scheduler(name: str, form: str, table: Table, settings: Settings) -> SyneTune:
    """Syne Tune's defaults, but for the form, the rungs and the length. No first proposal is given:
    its default is the middle of the space."""
    from syne_tune.optimizer import legacy_baselines

    return SyneTune(
        settings,
        getattr(legacy_baselines, name)(
            space_of(table.space),
            metric="accuracy",
            mode="max",
            resource_attr="epoch",
            max_t=table.max_time,
            rung_levels=[*rungs(table.max_time, settings.divisor), table.max_time],
            type=form,
            random_seed=settings.seed,
            points_to_evaluate=[],
            search_options={"debug_log": False},
        ),
    )


def space_of(space: Space) -> dict[str, Any]:
    """The same ranges in Syne Tune's words."""
    from syne_tune import config_space

    def domain(spec: Any) -> Any:
        match spec["type"]:
            case "categorical":
                return config_space.choice(list(spec["vals"]))
            case "log":
                base = spec.get("base", 10)
                return config_space.loguniform(base ** spec["minval"], base ** spec["maxval"])
            case "double":
                return config_space.uniform(spec["minval"], spec["maxval"])
            case "int":
                return config_space.randint(spec["minval"], spec["maxval"])
            case other:
                raise ValueError(f"no range for {other}")

    return {name: domain(spec) for name, spec in space.items()}


CONTENDERS: dict[str, Callable[[Table, Settings], Contender]] = {
    f"Syne Tune {name}, {form}": partial(scheduler, name, form)
    for name in ("ASHA", "BOHB", "MOBSTER")
    for form in ("stopping", "promotion")
}
