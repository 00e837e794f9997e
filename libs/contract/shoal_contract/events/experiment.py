"""What people ask for, written by the gateway."""

from shoal_contract.base import Frozen, Id
from shoal_contract.config import ExperimentConfig
from shoal_contract.events.base import Event

_KEY = ("experiment_id",)


class Bundle(Frozen):
    """The code of an experiment: a tar.gz in storage, named by its content."""

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


class ExperimentPauseRequested(Event, type="experiment.pause_requested", key=_KEY):
    """A person wants the trials to checkpoint and give their slots back."""

    experiment_id: Id


class ExperimentResumeRequested(Event, type="experiment.resume_requested", key=_KEY):
    """A person wants a paused experiment to go on."""

    experiment_id: Id


class ExperimentCancelRequested(Event, type="experiment.cancel_requested", key=_KEY):
    """A person wants the experiment to end now."""

    experiment_id: Id
