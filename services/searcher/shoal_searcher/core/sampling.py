"""What to ask a sampler, and when. The shell does the asking; its answer comes as a message.

Samplers that learn from any results (`tpe`, `gp`) are asked anew whenever there are more, and
their newest answer takes the place of what was not used yet. Those that count on each of their
proposals being tried (`cmaes`, `nsgaii`) get theirs tried in order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shoal_contract.ranges import flatten
from shoal_contract.searchers import Sampled, Sampler
from shoal_searcher.core.fronts import fronts
from shoal_searcher.core.messages import Proposals
from shoal_searcher.core.methods.base import concurrent
from shoal_searcher.core.state import Experiment, Place, Rung

UNASKED = ("random", "qmc")
"""What learns from nothing: the core computes it by itself (`propose.py`)."""
FROM_ALL = ("tpe", "gp")
STARTUP = {"tpe": 10, "gp": 3, "cmaes": 8}
"""Results that a sampler begins to learn from, unless the experiment says."""
HISTORY = 300
"""Results that a sampler learns from at most: its cost grows with them, its wisdom hardly."""
BEST = 60
"""Of these, how many are the best; the others are spread over the rest."""
FEWER = {"gp": (100, 40)}
"""The same two of those whose cost grows fast."""
AHEAD = {"gp": 2}
"""Proposals that are asked for at a time at most, of those that think long for each."""
PATIENCE = 1.0
"""Seconds that a warm start's first trials are held back for proposals to begin with."""


class SamplerError(Exception):
    """A sampler cannot work here."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A configuration (values by dotted name), and how it did: costs, to be minimised."""

    values: Mapping[str, Any]
    costs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a sampler: for `count` proposals."""

    experiment_id: str
    number: int
    """How many answers came before."""
    sampler: str
    seed: int
    space: Mapping[str, Any]
    """As in the experiment file."""
    constraints: tuple[str, ...]
    objectives: int
    count: int
    known: int
    history: tuple[Observation, ...]
    """For those that learn from all; for the others, what earlier experiments measured."""
    pending: tuple[Mapping[str, Any], ...]
    """Configurations that are being tried."""
    asks: tuple[tuple[int, int], ...]
    """For the others: each answer before, as how many of `told` it knew and how many it gave."""
    told: tuple[tuple[int, tuple[float, ...]], ...]
    """And the results in their order: the number of the proposal (-1: it was none of the
    sampler's), and its costs."""
    others: tuple[Mapping[str, Any], ...] = ()
    """Configurations of those that were none of the sampler's, in the same order."""

    def reply(self, proposals: list[dict[str, Any]], failure: str = "") -> Proposals:
        """The message that answers it."""
        return Proposals(
            experiment_id=self.experiment_id,
            ask=self.number,
            known=self.known,
            proposals=proposals,
            failure=failure,
        )


def counts_on_each(experiment: Experiment) -> bool:
    """Whether the experiment's sampler counts on each of its proposals being tried."""
    return sampler_of(experiment).name not in (*UNASKED, *FROM_ALL)


def grounded(experiment: Experiment) -> bool:
    """Whether it is known what its trials start from."""
    return experiment.warmed or not sources(experiment)


def ready(experiment: Experiment) -> bool:
    """Whether another trial may begin. A warm start's first ones are held back for its sampler,
    until it has failed, there is a result, or it takes too long; listed ones never are."""
    if not grounded(experiment):
        return False
    searcher = experiment.config.searcher
    if not isinstance(searcher, Sampled) or not _held(experiment):
        return True
    begun = experiment.begun or experiment.counted > len(experiment.past)
    failed = bool(experiment.asks) and not experiment.asks[-1][1]
    listed = len(experiment.trials) < len(searcher.starting_points)
    return begun or failed or bool(experiment.proposals) or listed


def _held(experiment: Experiment) -> bool:
    """Whether the first trials are held back for proposals that draws are no match for: those of
    a warm start with enough results."""
    return bool(experiment.past) and experiment.counted >= _enough(experiment)


def overdue(experiment: Experiment, now: float) -> bool:
    """Whether the first proposals have been waited for long enough."""
    since = max(experiment.accepted_at, experiment.warmed_at)
    return grounded(experiment) and now - since >= PATIENCE


def why_drawn(experiment: Experiment) -> str:
    """Why a draw takes the place of a proposal; empty if the experiment has no sampler."""
    name = sampler_of(experiment).name
    if name in UNASKED:
        return ""
    if experiment.failure:
        return f"the sampler failed: {experiment.failure}"
    if _too_early(experiment):
        return f"{name} proposes from result {_enough(experiment)} on"
    return f"no proposal of {name} was ready"


def _enough(experiment: Experiment) -> int:
    """Results that it takes for a sampler to learn from."""
    sampler = sampler_of(experiment)
    enough = sampler.startup_trials
    return max(1, STARTUP.get(sampler.name, 0) if enough is None else enough)


def _too_early(experiment: Experiment) -> bool:
    """Whether there are too few results to ask the sampler for the first time. One that counts on
    each counts trials: its first distribution is of their first results."""
    known = experiment.counted
    if counts_on_each(experiment):
        if experiment.asks or sampler_of(experiment).name not in STARTUP:
            return False
        known = len(experiment.told) + len(experiment.past)
    return known < _enough(experiment)


def sources(experiment: Experiment) -> tuple[str, ...]:
    """Ids of the experiments and of the trial that an experiment starts from."""
    searcher = experiment.config.searcher
    earlier = tuple(searcher.warm_start) if isinstance(searcher, Sampled) else ()
    return earlier if searcher.source_trial_id is None else (*earlier, searcher.source_trial_id)


def ask(experiment: Experiment, total: int) -> Ask | None:
    """What to ask now, if anything; `total`: how many trials the method wants in all."""
    name = sampler_of(experiment).name
    left = total - len(experiment.trials)
    if name in UNASKED or experiment.closing or left <= 0:
        return None
    if not grounded(experiment) or _too_early(experiment):
        return None
    width = min(concurrent(experiment), left)
    ahead = min(left, max(2, min(AHEAD.get(name, 16), width // 4)))
    if counts_on_each(experiment):
        count = ahead - len(experiment.proposals)
        known = len(experiment.told)
        if count <= 0 or (
            experiment.asks and not experiment.asks[-1][1] and known == experiment.known
        ):
            return None
    else:
        count, known = ahead, experiment.counted
        if known == experiment.known and len(experiment.proposals) >= count:
            return None
        if known == experiment.known and experiment.asks and not experiment.asks[-1][1]:
            return None  # it failed, and there is nothing new to say
    return _question(experiment, name, count, known)


def _question(experiment: Experiment, name: str, count: int, known: int) -> Ask:
    config, each = experiment.config, counts_on_each(experiment)
    asked = [t.number for t in experiment.trials.values() if t.origin == name] if each else []
    place = {number: index for index, number in enumerate(asked)}
    busy = [experiment.trials[trial_id].hyperparameters for trial_id in experiment.places]
    others = [experiment.trial(n) for n, _ in experiment.told if n not in place] if each else []
    return Ask(
        experiment_id=experiment.experiment_id,
        number=len(experiment.asks),
        sampler=name,
        seed=config.seed,
        space=config.hyperparameters,
        constraints=tuple(config.constraints),
        objectives=len(config.searcher.directions),
        count=count,
        known=known,
        history=tuple(history(experiment, own=not each)),
        pending=() if each else tuple(flatten(values) for values in busy),
        asks=tuple(experiment.asks) if each else (),
        told=tuple((place.get(n, -1), tuple(c)) for n, c in experiment.told) if each else (),
        others=tuple(flatten(trial.hyperparameters) for trial in others),
    )


def history(experiment: Experiment, own: bool = True) -> list[Observation]:
    """A bounded choice of results that can be compared: all measured at the same time, the latest
    for which there are enough, as in BOHB (Falkner et al., ICML 2018,
    https://arxiv.org/abs/1807.01774). Enough are as many as there are hyperparameters and one more,
    at least 8. The best are in it, and an even spread of the others. Without the experiment's own
    it is of those that it was warmed with."""
    at: dict[int, list[Place]] = {}
    for index, past in enumerate(experiment.past):
        at.setdefault(past.time, []).append((experiment.cost(past.metric), -1 - index))
    rungs = [rung for bracket in experiment.brackets for rung in bracket.rungs] if own else []
    for rung in rungs:
        at.setdefault(rung.target, []).extend(rung.order)
    if not at:
        return []
    dimensions = len(flatten(experiment.config.hyperparameters))
    enough = min(max(8, dimensions + 1), max(map(len, at.values())))
    time = max(time for time, places in at.items() if len(places) >= enough)
    places, rungs = sorted(at[time]), [rung for rung in rungs if rung.target == time]
    name = sampler_of(experiment).name
    most, good = FEWER.get(name, (HISTORY, BEST))
    if len(places) > most:
        best = _best(experiment, places, rungs, good)
        rest = [place for place in places if place not in best]
        spread = most - len(best)
        places = [*best, *(rest[n * len(rest) // spread] for n in range(spread))]
    return [
        Observation(_values(experiment, number), tuple(_costs(experiment, number, rungs)))
        for _, number in places
    ]


def _best(
    experiment: Experiment, places: list[Place], rungs: list[Rung], most: int
) -> dict[Place, None]:
    """The best of results at one time. With several objectives they are those of the first Pareto
    fronts, out of the best of each rung and of all earlier ones."""
    if not experiment.config.searcher.objectives:
        return dict.fromkeys(places[:most])
    numbers = [number for _, number in places if number < 0]
    for rung in rungs:
        every = (number for front in rung.fronts for _, _, number in front)
        numbers += islice(every, most)
    costs = {number: _costs(experiment, number, rungs) for number in numbers}
    order = [number for front in fronts(costs) for number in front]
    return {(costs[number][0], number): None for number in order[:most]}


def _values(experiment: Experiment, number: int) -> Mapping[str, Any]:
    """The configuration of a trial; below 0, of an earlier experiment's."""
    trials, past = experiment.trial, experiment.past
    return flatten((trials(number) if number >= 0 else past[-1 - number]).hyperparameters)


def _costs(experiment: Experiment, number: int, rungs: list[Rung]) -> list[float]:
    """And what it cost at one of the rungs."""
    if number >= 0:
        return next(rung.costs[number] for rung in reversed(rungs) if number in rung.costs)
    past = experiment.past[-1 - number]
    return experiment.costs((past.metric, *past.objectives))


def sampler_of(experiment: Experiment) -> Sampler:
    """The experiment's sampler: `random` where its method knows none."""
    searcher = experiment.config.searcher
    return searcher.sampler if isinstance(searcher, Sampled) else Sampler()
