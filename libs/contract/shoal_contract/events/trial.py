"""What the searcher decides about experiments (`search.*`) and trials (`trial.*`)."""

from typing import Any

from pydantic import Field

from shoal_contract.base import Frozen, Id
from shoal_contract.config import ExperimentConfig, Resources
from shoal_contract.events.base import Event
from shoal_contract.events.experiment import Bundle
from shoal_contract.states import Outcome

_EXPERIMENT = ("experiment_id",)
_TRIAL = ("experiment_id", "trial_id")


class Checkpoint(Frozen):
    """A complete checkpoint in storage."""

    url: str
    """The folder, as an fsspec address."""
    step: int
    """The training step after which it was taken."""
    attempt: int
    """The attempt of the trial that wrote it."""
    size: int = 0
    """Bytes."""


class Task(Frozen):
    """All that a worker needs to run one attempt of a trial."""

    experiment_id: Id
    trial_id: Id
    attempt: int = Field(ge=1)
    entrypoint: list[str]
    bundle: Bundle | None
    hyperparameters: dict[str, Any]
    seed: int
    environment: dict[str, str]
    metric: str
    smaller_is_better: bool
    time_metric: str
    target: int
    """Train up to this many units of `time_metric`, then wait for the searcher's word."""
    storage_url: str
    """The experiment's folder for checkpoints."""
    checkpoint: Checkpoint | None
    """Where to go on from; None: from the start."""


class BestTrial(Frozen):
    """The best validation result of an experiment."""

    trial_id: Id
    metric: float
    step: int
    hyperparameters: dict[str, Any]
    checkpoint: Checkpoint | None


class SearchAccepted(Event, type="search.accepted", key=_EXPERIMENT):
    """The searcher took an experiment over and begins to propose trials."""

    experiment_id: Id
    config: ExperimentConfig
    bundle: Bundle | None
    storage_url: str


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


class SearchCompleted(_SearchClosed, type="search.completed", key=_EXPERIMENT):
    """Every trial has ended and the method wants no more."""


class SearchCancelled(_SearchClosed, type="search.cancelled", key=_EXPERIMENT):
    """A person ended the experiment."""


class SearchFailed(_SearchClosed, type="search.failed", key=_EXPERIMENT):
    """No trial of the experiment could be trained."""


class TrialCreated(Event, type="trial.created", key=_TRIAL):
    """A configuration was proposed."""

    experiment_id: Id
    trial_id: Id
    number: int
    """From 0, in the order of proposal."""
    hyperparameters: dict[str, Any]
    seed: int


class TrialRequested(Event, type="trial.requested", key=_TRIAL):
    """An attempt of a trial wants slots: its first, after a pause, or after an interruption."""

    experiment_id: Id
    trial_id: Id
    attempt: int = Field(ge=1)
    task: Task
    resources: Resources


class TrialExtended(Event, type="trial.extended", key=_TRIAL):
    """A trial that holds its slots may train on, up to a new target."""

    experiment_id: Id
    trial_id: Id
    target: int
    reason: str = ""


class TrialMeasured(Event, type="trial.measured", key=_TRIAL):
    """A validation result was counted. Each step of a trial counts once."""

    experiment_id: Id
    trial_id: Id
    step: int
    time: int
    """The result's place in units of `time_metric`."""
    metric: float | None
    """None: not a number or infinite; it loses against every number."""
    rung: int | None = None
    """The rung that it was counted for (from 0), if it reached one."""


class TrialCheckpointed(Event, type="trial.checkpointed", key=_TRIAL):
    """The searcher took note of a trial's newest checkpoint."""

    experiment_id: Id
    trial_id: Id
    checkpoint: Checkpoint


class TrialPaused(Event, type="trial.paused", key=_TRIAL):
    """A trial is to give its slots back and may go on later."""

    experiment_id: Id
    trial_id: Id
    reason: str
    by_user: bool = False
    """Whether a person paused its experiment, rather than the method this trial."""


class TrialReleased(Event, type="trial.released", key=_TRIAL):
    """The attempt of a trial that is paused or over holds no slots any more."""

    experiment_id: Id
    trial_id: Id
    attempt: int


class TrialInterrupted(Event, type="trial.interrupted", key=_TRIAL):
    """An attempt ended although nobody asked it to."""

    experiment_id: Id
    trial_id: Id
    attempt: int
    outcome: Outcome
    reason: str


class _TrialClosed(Event):
    experiment_id: Id
    trial_id: Id
    reason: str


class TrialCompleted(_TrialClosed, type="trial.completed", key=_TRIAL):
    """Trained in full, or the script ended by itself without an error."""


class TrialStopped(_TrialClosed, type="trial.stopped", key=_TRIAL):
    """The search method dropped it."""


class TrialCancelled(_TrialClosed, type="trial.cancelled", key=_TRIAL):
    """A person ended it."""


class TrialFailed(_TrialClosed, type="trial.failed", key=_TRIAL):
    """It failed more often than `max_restarts` allows."""
