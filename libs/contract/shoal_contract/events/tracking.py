"""What programs log through MLflow's tracking API, written by the gateway."""

from typing import Literal

from pydantic import Field

from shoal_contract.base import Id, Int64
from shoal_contract.events.base import Event

_RUN = ("experiment_id", "run_id")

RunStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]


class TrackingExperimentCreated(Event, type="tracking.experiment_created", key=("experiment_id",)):
    """A program named an experiment of MLflow's kind: a set of runs."""

    experiment_id: Id
    name: str
    workspace: Id
    within: Id | None = None
    """The experiment of ours whose trial made it; only its trials see it."""
    tags: dict[str, str]
    at: float
    """Unix seconds."""


class TrackingExperimentChanged(Event, type="tracking.experiment_changed", key=("experiment_id",)):
    """An experiment of MLflow's kind was called something else, or tagged."""

    experiment_id: Id
    name: str | None = None
    """None: it stays."""
    tags: dict[str, str | None] = Field(default_factory=dict)
    """Those that changed; None: it was taken away."""


class TrackingRunCreated(Event, type="tracking.run_created", key=_RUN):
    """A program began a run."""

    experiment_id: Id
    run_id: Id
    name: str
    user: str
    start_time: Int64
    """Unix milliseconds, as all times of MLflow's."""
    tags: dict[str, str]


class TrackingRunChanged(Event, type="tracking.run_changed", key=_RUN):
    """A run ended, was called something else, was deleted or brought back. None: it stays."""

    experiment_id: Id
    run_id: Id
    status: RunStatus | None = None
    end_time: Int64 | None = None
    name: str | None = None
    deleted: bool | None = None


class TrackingLogged(Event, type="tracking.logged", key=_RUN):
    """Parameters and tags of a run."""

    experiment_id: Id
    run_id: Id
    params: dict[str, str]
    tags: dict[str, str]
    removed_tags: list[str] = Field(default_factory=list)


class MetricLogged(Event, type="metric.logged", key=_RUN):
    """Numbers of a run."""

    experiment_id: Id
    run_id: Id
    points: list[tuple[str, float, Int64, Int64]]
    """Name, value, step, and Unix milliseconds."""
