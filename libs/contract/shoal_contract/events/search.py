"""What the searcher decides about experiments."""

from typing import Any

from pydantic import Field

from shoal_contract.base import Frozen, Id
from shoal_contract.config import ExperimentConfig
from shoal_contract.events.base import Event
from shoal_contract.events.experiment import Bundle
from shoal_contract.events.trial import Checkpoint

_EXPERIMENT = ("experiment_id",)


class BestTrial(Frozen):
    """The best validation result of an experiment, or one of the best."""

    trial_id: Id
    metric: float
    step: int
    hyperparameters: dict[str, Any]
    checkpoint: Checkpoint | None
    metrics: dict[str, float] = Field(default_factory=dict)
    """Every objective, where there are several."""


class PastResult(Frozen):
    """A result of an earlier experiment, to learn from."""

    hyperparameters: dict[str, Any]
    time: int
    """Where it was measured, in units of the time metric."""
    metric: float
    objectives: list[float] = Field(default_factory=list)
    """The further objectives of the experiment that learns from it, in their order."""


class BracketPlan(Frozen):
    """Trials that compete with one another, as the method means to run them."""

    rungs: list[int]
    """Where results are judged, in units of the time metric; the last is the full length."""
    max_trials: int
    max_concurrent_trials: int
    """In the air at once, as long as other brackets have work too."""


class SearchAccepted(Event, type="search.accepted", key=_EXPERIMENT):
    """The searcher took an experiment over and begins to propose trials."""

    experiment_id: Id
    config: ExperimentConfig
    bundle: Bundle | None
    storage_url: str
    at: float = 0.0
    """Unix seconds."""
    units: int | None = None
    """Units of the time metric that its trials train in all, as expected; None: nobody can tell."""
    brackets: list[BracketPlan] = Field(default_factory=list)
    """Those of its method, the one that stops earliest first."""


class SearchWarmed(Event, type="search.warmed", key=_EXPERIMENT):
    """What an experiment starts from was found: earlier results, a checkpoint of another trial."""

    experiment_id: Id
    results: list[PastResult]
    checkpoint: Checkpoint | None = None
    at: float = 0.0
    """Unix seconds."""


class SearchProposed(Event, type="search.proposed", key=_EXPERIMENT):
    """A sampler's answer, kept, so that replay needs no sampler. It takes the place of proposals
    that were not used yet, except where the sampler counts on each being tried."""

    experiment_id: Id
    sampler: str
    known: int
    """Results that it had learned from."""
    proposals: list[dict[str, Any]]
    """Values by dotted name."""
    failure: str = ""
    """Why there are none: draws take their place."""


class SearchBegun(Event, type="search.begun", key=_EXPERIMENT):
    """Trials begin with draws: the sampler that is to propose them takes too long."""

    experiment_id: Id
    reason: str


class SearchChanged(Event, type="search.changed", key=_EXPERIMENT):
    """A person changed a running search."""

    experiment_id: Id
    max_trials: int | None = None
    max_concurrent_trials: int | None = None
    units: int | None = None
    brackets: list[BracketPlan] | None = None
    """Both as in `search.accepted`, from now on."""


class SearchClosing(Event, type="search.closing", key=_EXPERIMENT):
    """No more trials are proposed: its program said so, or its budget is spent."""

    experiment_id: Id
    reason: str
    at_once: bool
    """Whether trials that train now are stopped."""


class SearchPaused(Event, type="search.paused", key=_EXPERIMENT):
    """All trials of the experiment were told to pause; none is proposed."""

    experiment_id: Id


class SearchResumed(Event, type="search.resumed", key=_EXPERIMENT):
    """A paused experiment goes on."""

    experiment_id: Id


class _SearchClosed(Event):
    experiment_id: Id
    reason: str
    best: BestTrial | None = None
    trials: int = 0
    """Trials that were created."""
    front: list[BestTrial] = Field(default_factory=list)
    """With several objectives: results that no other beats in all of them."""


class SearchCompleted(_SearchClosed, type="search.completed", key=_EXPERIMENT):
    """Every trial has ended and the method wants no more."""


class SearchCancelled(_SearchClosed, type="search.cancelled", key=_EXPERIMENT):
    """A person ended the experiment."""

    at_once: bool = False
    """Its trials get no time to save."""


class SearchFailed(_SearchClosed, type="search.failed", key=_EXPERIMENT):
    """No trial of the experiment could be trained."""


class ShardAppended(Event, type="search.appended", key=("shard",)):
    """The mark before what one of several searchers appends: it is fenced by this subject's last
    sequence. Says nothing to anyone else."""

    shard: Id
