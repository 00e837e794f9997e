"""Answers to MLflow's clients, in MLflow's words.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from typing import Literal

from shoal_contract.events.tracking import RunStatus
from shoal_gateway.shell.answers.base import Answer, Number

Stage = Literal["active", "deleted"]


class MlflowPair(Answer):
    """A parameter or a tag."""

    key: str
    value: str


class MlflowMetric(Answer):
    """A number that was logged."""

    key: str
    value: Number
    timestamp: int
    """Unix milliseconds, as all times."""
    step: int


class MlflowExperiment(Answer):
    """What MLflow calls an experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    """Of the scheme `mlflow-artifacts`: the gateway keeps them."""
    lifecycle_stage: Stage
    creation_time: int
    last_update_time: int
    tags: list[MlflowPair]


class MlflowRunInfo(Answer):
    """What a run is called, and where it is."""

    run_id: str
    run_uuid: str
    """The same: its older name."""
    experiment_id: str
    run_name: str
    user_id: str
    status: RunStatus
    start_time: int
    end_time: int | None = None
    artifact_uri: str
    """As an experiment's `artifact_location`."""
    lifecycle_stage: Stage


class MlflowRunData(Answer):
    """What a run logged."""

    metrics: list[MlflowMetric]
    """The last of each."""
    params: list[MlflowPair]
    tags: list[MlflowPair]


class MlflowRun(Answer):
    """A run."""

    info: MlflowRunInfo
    data: MlflowRunData


class MlflowExperimentCreated(Answer):
    """An experiment was made."""

    experiment_id: str


class MlflowExperimentFound(Answer):
    """One experiment."""

    experiment: MlflowExperiment


class MlflowExperimentsFound(Answer):
    """A page of experiments."""

    experiments: list[MlflowExperiment]
    next_page_token: str | None = None
    """The next request's `page_token`; not there: this is the last page."""


class MlflowRunFound(Answer):
    """One run."""

    run: MlflowRun


class MlflowRunUpdated(Answer):
    """A run was changed."""

    run_info: MlflowRunInfo


class MlflowRunsFound(Answer):
    """A page of runs."""

    runs: list[MlflowRun]
    next_page_token: str | None = None


class MlflowHistory(Answer):
    """A page of what was logged of a metric."""

    metrics: list[MlflowMetric]
    next_page_token: str | None = None


class MlflowFile(Answer):
    """An artifact, or a folder of them."""

    path: str
    """Its name in the folder that was asked for."""
    is_dir: bool
    file_size: int | None = None


class MlflowFiles(Answer):
    """What is in a folder."""

    files: list[MlflowFile]


class MlflowModels(Answer):
    """Models of MLflow's kind."""

    models: list[None]
    """Always empty."""


class MlflowNothing(Answer):
    """It was done."""
