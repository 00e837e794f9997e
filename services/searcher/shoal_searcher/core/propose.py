"""What configuration a new trial gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shoal_contract.events import Checkpoint
from shoal_contract.events.trial import Inherits
from shoal_contract.ranges import nest
from shoal_contract.searchers import Sampled
from shoal_searcher.core import space
from shoal_searcher.core.state import Experiment


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration, where it comes from, and what it starts from."""

    hyperparameters: dict[str, Any] = field(default_factory=dict)
    origin: str = "random"
    parent: str | None = None
    source: Checkpoint | None = None
    inherits: Inherits = "nothing"
    rung: int = -1
    target: int | None = None
    request_id: str | None = None


def propose(experiment: Experiment, number: int) -> Proposal:
    """The listed starting points come first, then what the sampler has ready, then a draw, which
    depends on the experiment's seed and the trial's number alone."""
    config, searcher = experiment.config, experiment.config.searcher
    start, drawn = origin(experiment), _drawn(experiment, number)
    if not isinstance(searcher, Sampled):
        return Proposal(drawn, "random", **start)
    if number < len(searcher.starting_points):
        listed = _merge(drawn, searcher.starting_points[number])
        return Proposal(space.active(config.hyperparameters, listed), "listed", **start)
    if experiment.proposals:
        flat = experiment.proposals[0]
        values = _merge(drawn, nest(flat, config.hyperparameters))
        values = space.active(config.hyperparameters, values)
        # Its origin says that the proposal is used up, even if what it broke a constraint with
        # was replaced by a draw.
        fits = space.meets(values, config.constraints)
        return Proposal(values if fits else drawn, searcher.sampler.name, **start)
    return Proposal(drawn, "qmc" if searcher.sampler.name == "qmc" else "random", **start)


def _drawn(experiment: Experiment, number: int) -> dict[str, Any]:
    """A draw: of a search with a sampler spread evenly, since the sampler learns from the first."""
    config, searcher = experiment.config, experiment.config.searcher
    evenly = isinstance(searcher, Sampled) and searcher.sampler.name != "random"
    draw = space.spread if evenly else space.sample
    return draw(config.hyperparameters, config.seed, number, config.constraints)


def origin(experiment: Experiment) -> dict[str, Any]:
    """What every trial of an experiment starts from, if that is another trial."""
    if experiment.source is None:
        return {}
    parent = experiment.config.searcher.source_trial_id
    return {"source": experiment.source, "inherits": "weights", "parent": parent}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged
