"""Answers about experiments."""

from typing import Literal

from shoal_contract.states import ExperimentState, TrialState
from shoal_gateway.shell.answers.base import Answer, Number, Paged, Row
from shoal_gateway.shell.answers.trials import SavedCheckpoint


class StoredBundle(Answer):
    """The code of an experiment: a tar.gz, tar or zip in storage."""

    url: str
    """An fsspec address."""
    sha256: str
    size: int
    """Bytes."""


class Best(Answer):
    """The best validation result until now; the searcher's word on it once the search has ended."""

    trial_id: str
    metric: Number
    step: int
    time: int | None = None
    """In units of the time metric, while the search runs."""
    hyperparameters: Row | None = None
    """Once the search has ended, as all that follows."""
    checkpoint: SavedCheckpoint | None = None
    metrics: dict[str, Number] | None = None
    """Every objective, where there are several."""


class Experiment(Answer):
    """An experiment, with the number of its trials by state."""

    experiment_id: str
    name: str
    description: str
    labels: list[str]
    notes: str
    """What was found out, as Markdown."""
    archived: bool
    revision: int
    """Counts what people changed of it: its `ETag`."""
    workspace: str
    project: str
    """As it is called now."""
    project_id: str
    forked_from: str | None
    """The experiment whose config and code it took over."""
    continues: str | None
    """The trial whose newest checkpoint it goes on from."""
    state: ExperimentState
    reason: str | None
    """Why it is so."""
    owner: str | None
    submitted_at: float
    """Unix seconds, as all times."""
    cancel_requested_at: float | None
    ended_at: float | None
    trials: dict[TrialState, int]
    """How many are in each state."""
    max_trials: int | None
    """As a person changed it; null where the method has none."""
    max_concurrent_trials: int | None
    closing: str | None
    """Why no more trials are proposed."""
    sampler_failure: str | None
    """Why its sampler failed when it was asked last, and draws take the place of its proposals."""
    best: Best | None
    front: list[Best]
    """With several objectives, once it has ended: results that no other beats in all of them."""
    slot_seconds: float
    """Slots times the seconds for which they were held."""
    bundle: StoredBundle | None
    storage_url: str | None
    """Where its checkpoints are."""
    config: Row
    """As it was submitted, complete."""


class Experiments(Paged):
    """A page of experiments."""

    items: list[Experiment]


class RungBest(Answer):
    """The best result of a rung."""

    trial_id: str
    metric: float


class Rung(Answer):
    """Where a bracket's trials are compared."""

    target: int
    """In units of the time metric."""
    results: int
    """Trials that were measured here."""
    paused: int
    """Trials that are paused here, and may be promoted."""
    best: RungBest | None


class Bracket(Answer):
    """Trials that compete with one another."""

    max_trials: int | None
    """As planned; 0: a program decides. Copies that population based training makes come on top."""
    max_concurrent_trials: int | None
    """In the air at once, as long as other brackets have work too."""
    trials: dict[TrialState, int]
    """How many are in each state."""
    rungs: list[Rung]
    """None where a program decides."""


class SamplerState(Answer):
    """What proposes configurations."""

    name: str
    known: int | None
    """Results that its newest proposals have learned from."""
    asked_at: float | None
    failures: int
    """How often it failed to answer."""
    failure: str | None
    """Why it failed when it was asked last; null: it did not."""


class Search(Answer):
    """How a search stands."""

    experiment_id: str
    state: ExperimentState
    closing: str | None
    """Why no more trials are proposed."""
    method: str
    metric: str
    smaller_is_better: bool
    time_metric: str
    max_time: int
    """Length of a trial trained in full, in units of the time metric."""
    units: int
    """Units that all trials have trained, up to their last validation results."""
    expected_units: int | None
    """Those that the whole search is expected to take."""
    trials: int
    sampler: SamplerState | None
    brackets: list[Bracket]
    """The one that stops earliest first."""


class Submitted(Answer):
    """An experiment was accepted."""

    experiment_id: str
    name: str
    url: str
    """Where its row is, as `Location` has it."""


class ExperimentRequested(Answer):
    """Something was asked of an experiment."""

    experiment_id: str
    requested: Literal["pause", "resume", "cancel", "kill", "finish"]
    state: ExperimentState
    """When it was asked."""


class DeletionRequested(Answer):
    """An experiment is to be removed."""

    experiment_id: str
    requested: Literal["delete"]


class ExperimentArchival(Answer):
    """An experiment was put away, or back."""

    experiment_id: str
    archived: bool


class ChangeRequested(Answer):
    """An experiment is to be changed; what was asked for is repeated."""

    experiment_id: str
    requested: Literal["change"]
    max_trials: int | None = None
    max_concurrent_trials: int | None = None
    name: str | None = None
    description: str | None = None
    labels: list[str] | None = None
    notes: str | None = None
    project: str | None = None


class ShareRequested(Answer):
    """An experiment is to have another place among others; what was asked for is repeated."""

    experiment_id: str
    requested: Literal["share"]
    weight: float | None = None
    priority: int | None = None
    max_slots: int | None = None
    hold: bool | None = None
