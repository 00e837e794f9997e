"""Answers about trials, their checkpoints, reports and logs."""

from typing import Literal

from shoal_contract.states import Outcome, StopReason, TrialState
from shoal_gateway.shell.answers.base import Answer, Number, Paged, Row


class SavedCheckpoint(Answer):
    """A complete checkpoint in storage."""

    url: str
    """The folder, as an fsspec address."""
    step: int
    """The training step after which it was taken."""
    attempt: int
    size: int
    """Bytes."""


class TrialCheckpoint(SavedCheckpoint):
    """The newest checkpoint of a trial."""

    trial_id: str


class Result(Answer):
    """The best validation result of a trial."""

    metric: float
    step: int
    time: int
    """In units of the time metric."""


class Trial(Answer):
    """A trial."""

    trial_id: str
    experiment_id: str
    number: int
    """From 0, in the order of proposal."""
    state: TrialState
    reason: str | None
    running: bool
    """Whether it holds slots now, by the scheduler's word."""
    started: bool
    """The same, by the searcher's: false while an attempt waits for slots."""
    started_at: float | None
    attempt: int
    hyperparameters: Row
    seed: int
    bracket: int
    """The one of the method's brackets that it competes in."""
    origin: str | None
    """What proposed it: a sampler, `grid`, `listed`, `pbt`, or `program`."""
    parent: str | None
    """The trial that it goes on from."""
    request_id: str | None
    """The request that a program made."""
    rung: int | None
    target: int | None
    """How far it is to train, in units of the time metric."""
    step: int | None
    time: int | None
    """How far it is, in units of the time metric."""
    metric: float | None
    """At its newest validation."""
    objectives: list[float | None]
    """The values of the experiment's further objectives."""
    best: Result | None
    checkpoint: TrialCheckpoint | None
    node_ids: list[str]
    slots: int
    """That it holds now."""
    slot_seconds: float
    restarts: int
    """Attempts that failed."""
    losses: int
    """Attempts whose machine was lost."""
    preemptions: int
    created_at: float
    ended_at: float | None


class Trials(Paged):
    """All trials of an experiment."""

    items: list[Trial]


class Exit(Answer):
    """How the processes of a run ended on one of its nodes."""

    node_id: str
    outcome: Outcome
    reason: str
    exit_code: int | None
    """Of the first rank that failed; negative: the signal."""
    last_step: int | None
    """Of the last validation result that they reported."""
    at: float


class Run(Answer):
    """One attempt of a trial, from the request for slots to its end."""

    trial_id: str
    attempt: int
    """From 1."""
    state: Literal["waiting", "running", "leaving", "ended"]
    asked_for: str | None
    """Why slots were asked for."""
    target: int | None
    """How far it was to train, in units of the time metric, when it was asked for."""
    from_step: int | None
    """Of the checkpoint that it went on from."""
    requested_at: float | None
    granted_at: float | None
    ended_at: float | None
    slots: int
    node_ids: list[str]
    price: float
    """USD an hour for all its slots, as its pool's settings say; 0: they say nothing."""
    told_to_leave: StopReason | None
    outcome: Outcome | None
    """What ended it."""
    reason: str | None
    """The same in a sentence."""
    slot_seconds: float
    """Slots times the seconds for which they were held, once it has ended."""
    last_time: int | None
    """Where its last validation result is, in units of the time metric."""
    exits: list[Exit]
    """One for each of its nodes that is done."""


class Runs(Paged):
    """Runs, trial by trial, oldest first."""

    items: list[Run]


class Told(Answer):
    """An event of a trial's story."""

    at: float
    event: str
    """Its type, e.g. `trial.paused`."""
    text: str
    """A sentence."""


class Explanation(Answer):
    """What happened to a trial, and where it stands."""

    trial_id: str
    now: str
    """A sentence on where it stands and why."""
    events: list[Told]


class TrialStopAsked(Answer):
    """A trial is to end."""

    trial_id: str
    requested: Literal["stop", "kill"]
    state: TrialState
    """When it was asked."""


class TrialExtensionAsked(Answer):
    """A trial is to train further."""

    trial_id: str
    requested: Literal["extend"]
    target: int


class TrialMoved(Answer):
    """A waiting trial is to be served before another."""

    trial_id: str
    requested: Literal["move"]
    ahead_of: str


class TrialAsked(Answer):
    """A configuration is to be tried."""

    experiment_id: str
    requested: Literal["create"]
    request_id: str
    """`trial.created` tells it, and the trial's row."""


class KeptCheckpoint(TrialCheckpoint):
    """A checkpoint, and what is to become of it."""

    checkpoint_id: str
    saved_at: float
    state: Literal["saved", "pinned", "leaving", "removed"]
    """`leaving`: a person wants it removed."""
    removed_at: float | None


class Checkpoints(Paged):
    """Checkpoints, trial by trial, oldest first."""

    items: list[KeptCheckpoint]


class CheckpointRequested(Answer):
    """A checkpoint is to be kept, let go, or removed."""

    checkpoint_id: str
    requested: Literal["pin", "unpin", "remove"]
    state: Literal["saved", "pinned", "leaving"]
    """When it was asked."""


class Report(Answer):
    """What a trial, or a machine that it ran on, reported at once."""

    trial_id: str
    attempt: int
    step: int
    """Of training."""
    time: int | None
    """The same in units of the time metric."""
    at: float
    group: Literal["validation", "training", "system"]
    source: str
    """Of `system`: the node."""
    metrics: dict[str, Number | None]
    superseded: bool | None = None
    """Whether the step was trained again later; with `superseded` alone."""


class Reports(Answer):
    """Reports, trial by trial and step by step."""

    items: list[Report]


class LogPiece(Answer):
    """Lines that a rank wrote, one after the other."""

    id: int
    """The piece's place in the log: for `after`."""
    trial_id: str
    attempt: int
    rank: int
    stream: Literal["stdout", "stderr"]
    lines: list[str]
    sequence: int
    """Number of the first line, by attempt, rank and stream, from 0."""
    at: float
    dropped: int
    """Lines that are only in the file in storage; the one line here says so."""


class Log(Answer):
    """Pieces of a log, oldest first."""

    items: list[LogPiece]
    next: int
    """Where to go on: the next request's `after`."""
    complete: bool
    """Whether the log's end was reached; with `tail`: there are no more lines, or enough."""
