"""Population based training. At the end of a round a trial waits only for those of the population
that have not had their turn on slots.

Jaderberg et al., https://arxiv.org/abs/1711.09846: exploit by truncation selection, explore by
perturbing or drawing anew (section 4.1.1).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from shoal_contract.ranges import Categorical, Const, DoubleRange, IntRange, LogRange, range_of
from shoal_contract.searchers import PbtSearcher
from shoal_searcher.core import space
from shoal_searcher.core.fronts import finite
from shoal_searcher.core.methods.async_halving import exact
from shoal_searcher.core.methods.base import (
    Bracket,
    Complete,
    Extend,
    Pause,
    Promotions,
    Replace,
    Rungs,
    Stop,
    Verdict,
    concurrent,
)
from shoal_searcher.core.propose import Proposal
from shoal_searcher.core.ranking import best_first, rank
from shoal_searcher.core.state import Experiment, Trial


class Pbt(Rungs):
    """A trial that ends a round among the worst is stopped, and a copy of one of the best goes on
    in its place, from that one's newest checkpoint, with hyperparameters near to that one's."""

    def total(self, experiment: Experiment) -> int:
        """The population. Copies come on top."""
        return _config(experiment).population_size + experiment.copies

    def brackets(self, experiment: Experiment) -> Sequence[Bracket]:
        """One; a rung is the end of a round."""
        c = _config(experiment)
        targets = _ends(c.max_time, min(c.rounds, c.max_time))
        return (Bracket(targets, self.total(experiment), concurrent(experiment)),)

    def propose(self, experiment: Experiment, number: int) -> Proposal:
        """As for the trial of that number if there were no copies: no starting point is skipped."""
        return super().propose(experiment, number - experiment.copies)

    def judge(self, experiment: Experiment, trial: Trial, rung: int) -> Verdict:
        """Complete after the last round; among the worst, replaced; else on, unless others of the
        population are a round behind and have no slots: then they come first."""
        targets = self.targets(experiment, trial)
        if rung == len(targets) - 1:
            return Complete(f"trained in full, {targets[-1]}")
        place = self.standing(experiment, trial)
        if not finite(experiment.rung(trial.bracket, rung).costs[trial.number]):
            if (copy := self._copy(experiment, trial, rung)) is not None:
                return Replace(copy, f"its result is no finite number: {place}")
            return Stop(f"{place}: its result is no finite number")
        if behind := sum(passed < rung for passed in _without_slots(experiment)):
            return Pause(f"gives {behind} others their turn in this round: {place}")
        copy = self._copy(experiment, trial, rung) if self._worst(experiment, trial) else None
        return Extend(targets[rung + 1], place) if copy is None else Replace(copy, place)

    def promotable(self, experiment: Experiment, bracket: int) -> Promotions:
        """Those that waited for others to have their turn, the earliest round first; of these the
        worst are replaced."""
        targets = self.brackets(experiment)[bracket].targets
        rungs = experiment.brackets[bracket].rungs if bracket < len(experiment.brackets) else []
        lowest = min(_without_slots(experiment), default=len(rungs))
        waiting = [number for results in rungs[: lowest + 1] for _, number in results.waiting]
        for trial in map(experiment.trial, waiting):
            copy = (
                self._copy(experiment, trial, trial.rung)
                if self._worst(experiment, trial)
                else None
            )
            yield trial.trial_id, targets[trial.rung + 1] if copy is None else copy

    def _worst(self, experiment: Experiment, trial: Trial) -> bool:
        """Whether it is among the worst of its round."""
        results = experiment.rung(trial.bracket, trial.rung)
        return rank(results, trial.number) > self.keep(experiment, trial)

    def replacement(self, experiment: Experiment, trial: Trial) -> Proposal | None:
        """A copy of one of the best of the last round that it ended."""
        return self._copy(experiment, trial, trial.rung) if trial.rung >= 0 else None

    def keep(self, experiment: Experiment, trial: Trial) -> int:
        """All but the worst."""
        results = experiment.rung(trial.bracket, trial.rung)
        return len(results.costs) - self._cut(experiment, trial.rung)

    def _cut(self, experiment: Experiment, rung: int) -> int:
        """How many of a round are worst, and how many best, of those that have ended it."""
        count = len(experiment.rung(0, rung).costs)
        return int(count * exact(_config(experiment).truncate_fraction))

    def _copy(self, experiment: Experiment, trial: Trial, rung: int) -> Proposal | None:
        """A copy of one of the best at `rung` that have a checkpoint, drawn by the trial's seed."""
        results = experiment.rung(0, rung)
        last = len(self.targets(experiment, trial)) - 1
        best = islice(best_first(results), self._cut(experiment, rung))
        left = (n for n in best if n != trial.number and n not in experiment.gone)
        parents = [p for p in map(experiment.trial, left) if p.checkpoint is not None]
        parents = [p for p in parents if p.rung < last]  # else nothing would be left to train
        if not parents:
            return None
        rng = random.Random(space.trial_seed(trial.seed, rung))  # noqa: S311 - reproducible
        parent = parents[rng.randrange(len(parents))]
        config = experiment.config
        for _ in range(space.TRIES):
            near = _explore(
                config.hyperparameters, parent.hyperparameters, rng, _config(experiment)
            )
            near = space.active(config.hyperparameters, near)
            if space.meets(near, config.constraints):
                passed = parent.rung  # its checkpoint may be newer than this round
                return Proposal(near, "pbt", parent.trial_id, parent.checkpoint, "training", passed)
        return None


@lru_cache(maxsize=256)
def _ends(max_time: int, rounds: int) -> tuple[int, ...]:
    return tuple(max_time * n // rounds for n in range(1, rounds + 1))


def _without_slots(experiment: Experiment) -> Iterator[int]:
    """Of each trial on its way that holds no slots, the last round that it ended."""
    placed = (experiment.trials[trial_id] for trial_id in experiment.places)
    return (trial.rung for trial in placed if trial.started_at is None)


def _explore(
    ranges: Mapping[str, Any], values: Mapping[str, Any], rng: random.Random, c: PbtSearcher
) -> dict[str, Any]:
    """Values near to the given ones: each drawn anew with a probability, else perturbed."""
    drawn = space.draw(ranges, rng)
    found: dict[str, Any] = {}
    for name, entry in ranges.items():
        kind, anew = range_of(entry), rng.random() < c.resample_probability
        if kind is None and isinstance(entry, Mapping):
            found[name] = _explore(entry, values.get(name, {}), rng, c)
        elif kind is None or isinstance(kind, Const) or name not in values or anew:
            found[name] = drawn[name]
        else:
            factor = 1 + c.perturb_factor if rng.random() < 0.5 else 1 - c.perturb_factor
            found[name] = _perturbed(kind, values[name], factor)
    return found


def _perturbed(kind: Any, value: Any, factor: float) -> Any:
    match kind:
        case IntRange(minval=low, maxval=high):
            moved = round(value * factor)
            if moved == value:
                moved += 1 if factor > 1 else -1
            return min(high, max(low, moved))
        case DoubleRange(minval=low, maxval=high):
            return min(high, max(low, value * factor))
        case LogRange(base=base, minval=low, maxval=high):
            return min(base**high, max(base**low, value * factor))
        case Categorical():
            return value
        case _:
            raise TypeError(f"no way to perturb {kind!r}")


def _config(experiment: Experiment) -> PbtSearcher:
    searcher = experiment.config.searcher
    if not isinstance(searcher, PbtSearcher):
        raise TypeError(f"{searcher.name} is not pbt")
    return searcher
