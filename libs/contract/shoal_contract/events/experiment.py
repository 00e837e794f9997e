"""What people ask for, written by the gateway."""

from typing import Any, Literal

from pydantic import Field

from shoal_contract.base import Frozen, Id
from shoal_contract.config import ExperimentConfig
from shoal_contract.events.base import Event

_KEY = ("experiment_id",)


class Bundle(Frozen):
    """The code of an experiment: a tar.gz, tar or zip in storage, named by its content."""

    url: str
    """An fsspec address."""
    sha256: str
    size: int
    """Bytes."""


class ExperimentSubmitted(Event, type="experiment.submitted", key=_KEY):
    """An experiment was accepted by the gateway (HTTP 201)."""

    experiment_id: Id
    config: ExperimentConfig
    bundle: Bundle | None = None
    """None: the entrypoint needs no files."""
    storage_url: str
    """Where checkpoints go: the config's own address, or the platform's."""
    owner: str = "local"
    forked_from: Id | None = None
    """The experiment whose config and code it took over."""
    continues: Id | None = None
    """The trial whose newest checkpoint it goes on from."""
    project_id: Id = "default"
    """The project that the config names, by its id, which stays."""


class ExperimentPauseRequested(Event, type="experiment.pause_requested", key=_KEY):
    """A person wants the trials to checkpoint and give their slots back."""

    experiment_id: Id


class ExperimentResumeRequested(Event, type="experiment.resume_requested", key=_KEY):
    """A person wants a paused experiment to go on."""

    experiment_id: Id


class ExperimentCancelRequested(Event, type="experiment.cancel_requested", key=_KEY):
    """A person wants the experiment to end now."""

    experiment_id: Id
    at_once: bool = False
    """True: what runs is killed, and does not checkpoint before."""


class ExperimentEdited(Event, type="experiment.edited", key=_KEY):
    """A person called an experiment something else, noted something, or moved it to another
    project. None: it stays."""

    experiment_id: Id
    name: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = None
    labels: list[str] | None = None
    notes: str | None = None
    project_id: Id | None = None
    """The project of its workspace to which it belongs now."""


class ExperimentArchived(Event, type="experiment.archived", key=_KEY):
    """A person put an experiment that has ended out of the way, or back."""

    experiment_id: Id
    archived: bool


class ExperimentDeleted(Event, type="experiment.deleted", key=_KEY):
    """A person removed an experiment that had ended. Its checkpoints were asked to go before."""

    experiment_id: Id
    trial_ids: list[Id] = Field(default_factory=list)


class ExperimentChangeRequested(Event, type="experiment.change_requested", key=_KEY):
    """A person wants a running search to be larger or smaller, or wider."""

    experiment_id: Id
    max_trials: int | None = Field(default=None, ge=1)
    max_concurrent_trials: int | None = Field(default=None, ge=0)


class ExperimentFinishRequested(Event, type="experiment.finish_requested", key=_KEY):
    """The program of a custom search wants no more trials."""

    experiment_id: Id


class TrialCreateRequested(Event, type="experiment.trial_create_requested", key=_KEY):
    """The program of a custom search wants a configuration tried."""

    experiment_id: Id
    request_id: Id
    """The same request twice makes one trial."""
    hyperparameters: dict[str, Any]
    target: int | None = Field(default=None, ge=1)
    """How far to train, in units of the time metric; None: `max_time`."""


class TrialExtendRequested(
    Event, type="experiment.trial_extend_requested", key=("experiment_id", "trial_id")
):
    """The program of a custom search wants a trial to train further."""

    experiment_id: Id
    trial_id: Id
    target: int = Field(ge=1)


class TrialStopRequested(
    Event, type="experiment.trial_stop_requested", key=("experiment_id", "trial_id")
):
    """A person, or the program of a custom search, wants one trial to end."""

    experiment_id: Id
    trial_id: Id
    at_once: bool = False
    """True: it is killed, and does not checkpoint before."""


class CheckpointChangeRequested(
    Event, type="experiment.checkpoint_change_requested", key=("experiment_id", "trial_id")
):
    """A person wants a checkpoint kept for good (`pin`), kept as its experiment says (`unpin`), or
    removed as soon as nothing needs it. What was asked last counts."""

    experiment_id: Id
    trial_id: Id
    url: str
    """The checkpoint's folder."""
    change: Literal["pin", "unpin", "remove"]
