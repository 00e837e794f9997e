"""Answers about experiments."""

from typing import Literal, NotRequired, TypedDict

from shoal.answers.base import Number, Row
from shoal.answers.trials import SavedCheckpoint, TrialState

ExperimentState = Literal["active", "paused", "completed", "cancelled", "failed"]


class StoredBundle(TypedDict):
    """The code of an experiment: a tar.gz, tar or zip in storage."""

    url: str
    sha256: str
    size: int


class Best(TypedDict):
    """The best validation result until now; the searcher's word on it once the search has ended."""

    trial_id: str
    metric: Number
    step: int
    time: NotRequired[int | None]
    hyperparameters: NotRequired[Row | None]
    checkpoint: NotRequired[SavedCheckpoint | None]
    metrics: NotRequired[dict[str, Number] | None]


class Experiment(TypedDict):
    """An experiment, with the number of its trials by state."""

    experiment_id: str
    name: str
    description: str
    labels: list[str]
    notes: str
    archived: bool
    revision: int
    workspace: str
    project: str
    project_id: str
    forked_from: str | None
    continues: str | None
    state: ExperimentState
    reason: str | None
    owner: str | None
    submitted_at: float
    cancel_requested_at: float | None
    ended_at: float | None
    trials: dict[TrialState, int]
    max_trials: int | None
    max_concurrent_trials: int | None
    closing: str | None
    sampler_failure: str | None
    best: Best | None
    front: list[Best]
    slot_seconds: float
    bundle: StoredBundle | None
    storage_url: str | None
    config: Row


class RungBest(TypedDict):
    """The best result of a rung."""

    trial_id: str
    metric: float


class Rung(TypedDict):
    """Where a bracket's trials are compared."""

    target: int
    results: int
    paused: int
    best: RungBest | None


class Bracket(TypedDict):
    """Trials that compete with one another."""

    max_trials: int | None
    max_concurrent_trials: int | None
    trials: dict[TrialState, int]
    rungs: list[Rung]


class SamplerState(TypedDict):
    """What proposes configurations."""

    name: str
    known: int | None
    asked_at: float | None
    failures: int
    failure: str | None


class Search(TypedDict):
    """How a search stands."""

    experiment_id: str
    state: ExperimentState
    closing: str | None
    method: str
    metric: str
    smaller_is_better: bool
    time_metric: str
    max_time: int
    units: int
    expected_units: int | None
    trials: int
    sampler: SamplerState | None
    brackets: list[Bracket]


class Submitted(TypedDict):
    """An experiment was accepted."""

    experiment_id: str
    name: str
    url: str


class ExperimentRequested(TypedDict):
    """Something was asked of an experiment."""

    experiment_id: str
    requested: Literal["pause", "resume", "cancel", "kill", "finish"]
    state: ExperimentState


class DeletionRequested(TypedDict):
    """An experiment is to be removed."""

    experiment_id: str
    requested: Literal["delete"]


class ExperimentArchival(TypedDict):
    """An experiment was put away, or back."""

    experiment_id: str
    archived: bool


class ChangeRequested(TypedDict):
    """An experiment is to be changed; what was asked for is repeated."""

    experiment_id: str
    requested: Literal["change"]
    max_trials: NotRequired[int | None]
    max_concurrent_trials: NotRequired[int | None]
    name: NotRequired[str | None]
    description: NotRequired[str | None]
    labels: NotRequired[list[str] | None]
    notes: NotRequired[str | None]
    project: NotRequired[str | None]


class ShareRequested(TypedDict):
    """An experiment is to have another place among others; what was asked for is repeated."""

    experiment_id: str
    requested: Literal["share"]
    weight: NotRequired[float | None]
    priority: NotRequired[int | None]
    max_slots: NotRequired[int | None]
    hold: NotRequired[bool | None]
