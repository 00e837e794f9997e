"""Answers about trials, their checkpoints, reports and logs."""

from typing import Literal, NotRequired, TypedDict

from shoal.answers.base import Number, Row

TrialState = Literal[
    "created", "wanted", "paused", "interrupted", "completed", "stopped", "cancelled", "failed"
]
Outcome = Literal["completed", "stopped", "preempted", "failed", "lost"]
StopReason = Literal["paused", "closed", "preempted", "gang_broken"]


class SavedCheckpoint(TypedDict):
    """A complete checkpoint in storage."""

    url: str
    step: int
    attempt: int
    size: int


class TrialCheckpoint(SavedCheckpoint):
    """The newest checkpoint of a trial."""

    trial_id: str


class Result(TypedDict):
    """The best validation result of a trial."""

    metric: float
    step: int
    time: int


class Trial(TypedDict):
    """A trial."""

    trial_id: str
    experiment_id: str
    number: int
    state: TrialState
    reason: str | None
    running: bool
    started: bool
    started_at: float | None
    attempt: int
    hyperparameters: Row
    seed: int
    bracket: int
    origin: str | None
    parent: str | None
    request_id: str | None
    rung: int | None
    target: int | None
    step: int | None
    time: int | None
    metric: float | None
    objectives: list[float | None]
    best: Result | None
    checkpoint: TrialCheckpoint | None
    node_ids: list[str]
    slots: int
    slot_seconds: float
    restarts: int
    losses: int
    preemptions: int
    created_at: float
    ended_at: float | None


class Exit(TypedDict):
    """How the processes of a run ended on one of its nodes."""

    node_id: str
    outcome: Outcome
    reason: str
    exit_code: int | None
    last_step: int | None
    at: float


class Run(TypedDict):
    """One attempt of a trial, from the request for slots to its end."""

    trial_id: str
    attempt: int
    state: Literal["waiting", "running", "leaving", "ended"]
    asked_for: str | None
    target: int | None
    from_step: int | None
    requested_at: float | None
    granted_at: float | None
    ended_at: float | None
    slots: int
    node_ids: list[str]
    price: float
    told_to_leave: StopReason | None
    outcome: Outcome | None
    reason: str | None
    slot_seconds: float
    last_time: int | None
    exits: list[Exit]


class Told(TypedDict):
    """An event of a trial's story."""

    at: float
    event: str
    text: str


class Explanation(TypedDict):
    """What happened to a trial, and where it stands."""

    trial_id: str
    now: str
    events: list[Told]


class TrialStopAsked(TypedDict):
    """A trial is to end."""

    trial_id: str
    requested: Literal["stop", "kill"]
    state: TrialState


class TrialExtensionAsked(TypedDict):
    """A trial is to train further."""

    trial_id: str
    requested: Literal["extend"]
    target: int


class TrialMoved(TypedDict):
    """A waiting trial is to be served before another."""

    trial_id: str
    requested: Literal["move"]
    ahead_of: str


class KeptCheckpoint(TrialCheckpoint):
    """A checkpoint, and what is to become of it."""

    checkpoint_id: str
    saved_at: float
    state: Literal["saved", "pinned", "leaving", "removed"]
    removed_at: float | None


class CheckpointRequested(TypedDict):
    """A checkpoint is to be kept, let go, or removed."""

    checkpoint_id: str
    requested: Literal["pin", "unpin", "remove"]
    state: Literal["saved", "pinned", "leaving"]


class Report(TypedDict):
    """What a trial, or a machine that it ran on, reported at once."""

    trial_id: str
    attempt: int
    step: int
    time: int | None
    at: float
    group: Literal["validation", "training", "system"]
    source: str
    metrics: dict[str, Number | None]
    superseded: NotRequired[bool | None]


class LogPiece(TypedDict):
    """Lines that a rank wrote, one after the other."""

    id: int
    trial_id: str
    attempt: int
    rank: int
    stream: Literal["stdout", "stderr"]
    lines: list[str]
    sequence: int
    at: float
    dropped: int
