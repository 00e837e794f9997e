"""What the searcher decides about trials."""

from typing import Any, Literal

from pydantic import Field

from shoal_contract.base import Frozen, Id
from shoal_contract.config import Resources
from shoal_contract.events.base import Event
from shoal_contract.events.experiment import Bundle
from shoal_contract.states import Outcome

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


Inherits = Literal["nothing", "weights", "training"]
"""What a checkpoint of another trial gives: nothing (it is the trial's own), weights to start at
step 0 with, or a training to go on with at its step, with hyperparameters of the trial's own."""


class Container(Frozen):
    """What each rank runs in. See `config.Environment`."""

    image: str
    runtime: Literal["docker", "podman"] | None = None


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
    inherits: Inherits = "nothing"
    workspace: Id = "default"
    secrets: list[Id] = Field(default_factory=list)
    """Names of secrets of the workspace, which the worker puts into the environment."""
    container: Container | None = None
    """None: ranks run beside the worker."""
    max_restarts: int = 5
    """The experiment's: how often its trials may fail and go on."""
    preload: list[str] = Field(default_factory=list)
    """Modules that ranks should find imported."""


class TrialCreated(Event, type="trial.created", key=_TRIAL):
    """A configuration was proposed."""

    experiment_id: Id
    trial_id: Id
    number: int
    """From 0, in the order of proposal."""
    hyperparameters: dict[str, Any]
    seed: int
    bracket: int = 0
    """The one of the method's brackets that it competes in."""
    origin: str = "random"
    """What proposed it: a sampler, `grid`, `listed`, `pbt`, or `program`."""
    parent: Id | None = None
    """The trial that it goes on from."""
    source: Checkpoint | None = None
    """The other trial's checkpoint that it starts from."""
    inherits: Inherits = "nothing"
    rung: int = -1
    """The rung that it has passed already, as a copy of a trial that has."""
    target: int | None = None
    """How far to train at first, if a program said."""
    request_id: Id | None = None
    """The request that a program made."""
    reason: str = ""
    """Why it was drawn, where there is a sampler."""


class TrialRequested(Event, type="trial.requested", key=_TRIAL):
    """An attempt of a trial wants slots: its first, after a pause, or after an interruption."""

    experiment_id: Id
    trial_id: Id
    attempt: int = Field(ge=1)
    task: Task
    resources: Resources
    reason: str = ""


class TrialStarted(Event, type="trial.started", key=_TRIAL):
    """An attempt was granted its slots."""

    experiment_id: Id
    trial_id: Id
    attempt: int
    slots: int
    at: float
    """Unix seconds."""


class TrialExtended(Event, type="trial.extended", key=_TRIAL):
    """A trial may train on, up to a new target: at once if it holds slots, else in its turn."""

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
    objectives: list[float | None] = Field(default_factory=list)
    """The values of the experiment's further objectives, in their order."""
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
    slot_seconds: float = 0.0
    """What the attempt used: seconds times slots."""
    awaits: int | None = None
    """The script ended by itself, and its last result, at this time, is still to be heard."""


class TrialInterrupted(Event, type="trial.interrupted", key=_TRIAL):
    """An attempt ended although nobody asked it to."""

    experiment_id: Id
    trial_id: Id
    attempt: int
    outcome: Outcome
    reason: str
    slot_seconds: float = 0.0


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

    at_once: bool = False
    """True: it is killed, and does not checkpoint before."""


class TrialFailed(_TrialClosed, type="trial.failed", key=_TRIAL):
    """It failed more often than `max_restarts` allows."""
