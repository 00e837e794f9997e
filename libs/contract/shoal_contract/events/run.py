"""What workers say: of their machine (`node.*`, `heartbeat.*`), their runs (`run.*`), and what
trials report (`metric.*`, `checkpoint.*`, `log.*`)."""

from typing import Literal

from pydantic import Field

from shoal_contract.base import Frozen, Id, Int64
from shoal_contract.events.base import Event
from shoal_contract.events.shapes import RunOrder, Slot
from shoal_contract.events.trial import Checkpoint
from shoal_contract.states import Outcome, StopReason

_NODE = ("node_id",)
_RUN = ("experiment_id", "run_id")
_TRIAL = ("experiment_id", "trial_id")


class NodeJoined(Event, type="node.joined", key=_NODE):
    """A worker is ready for orders. A new incarnation means that all its earlier runs are gone."""

    node_id: Id
    incarnation: Id
    pool: Id
    host: str
    """Address at which other nodes reach its ranks."""
    slots: list[Slot]
    ports: list[int]
    instance_id: Id | None = None
    """The provisioner's id of the machine, if it started it."""
    labels: dict[str, str] = Field(default_factory=dict)
    """What its operators say of it, e.g. `rack: b7`."""


PREEMPTED = "preempted"
"""What the reason for a node's draining contains when its cloud takes the machine back."""


class NodeNoticed(Event, type="node.draining", key=_NODE):
    """The machine goes away in `seconds`, or was told to drain; its runs are checkpointing."""

    node_id: Id
    incarnation: Id
    reason: str
    seconds: float


class NodeLeft(Event, type="node.left", key=_NODE):
    """A worker ended in order; no process of it is left."""

    node_id: Id
    incarnation: Id
    reason: str


class Heartbeat(Event, type="heartbeat.beat", key=_NODE):
    """A worker lives. Only the newest of each node is kept."""

    node_id: Id
    incarnation: Id
    runs: list[Id]


class RunAccepted(Event, type="run.accepted", key=_RUN):
    """A worker took an order and stages its files."""

    experiment_id: Id
    run_id: Id
    node_id: Id
    run: RunOrder


class RunStarted(Event, type="run.started", key=_RUN):
    """The processes of a run exist."""

    experiment_id: Id
    run_id: Id
    allocation_id: Id
    trial_id: Id
    node_id: Id
    pids: list[int]


class RunExtended(Event, type="run.extended", key=_RUN):
    """A run may train on, up to a new target."""

    experiment_id: Id
    run_id: Id
    target: int


class RankExited(Event, type="run.rank_exited", key=_RUN):
    """One process of a run ended."""

    experiment_id: Id
    run_id: Id
    rank: int
    """Global rank."""
    exit_code: int
    """Negative: the signal that ended it."""
    tail: str
    """The exception that left its script, or its last words on stderr."""
    failed_at: float | None = None
    """Unix seconds at which it failed by itself; None: it did not, or it is not known."""
    echo: bool = False
    """Whether it failed since another rank was gone."""
    lost: bool = False
    """Whether the platform failed it, not its script."""


class RunStopping(Event, type="run.stopping", key=_RUN):
    """A run was told to checkpoint and leave."""

    experiment_id: Id
    run_id: Id
    allocation_id: Id
    reason: StopReason
    until: float
    """Unix seconds; what still lives then is killed."""


class RunExited(Event, type="run.exited", key=_RUN):
    """No process of a run is left."""

    experiment_id: Id
    run_id: Id
    allocation_id: Id
    trial_id: Id
    node_id: Id
    outcome: Outcome
    reason: str
    exit_code: int | None = None
    """Of the rank that failed first; negative: the signal."""
    last_step: int | None = None
    """Step of the last validation result that this run reported, all of which are in their stream
    by now; None: it reported none."""
    last_time: int | None = None
    """The same result's place in units of the time metric."""
    failed_at: float | None = None
    """As in `run.rank_exited`, of the rank that failed first."""
    echo: bool = False
    """Whether that rank failed since one of another run of the gang was gone."""


class CheckpointSaved(Event, type="checkpoint.saved", key=_TRIAL):
    """A checkpoint is complete in storage."""

    experiment_id: Id
    trial_id: Id
    allocation_id: Id
    checkpoint: Checkpoint


class CheckpointRemoved(Event, type="checkpoint.removed", key=_TRIAL):
    """A checkpoint is no longer in storage: nobody needed it any more."""

    experiment_id: Id
    trial_id: Id
    url: str


class ValidationReported(Event, type="metric.validation", key=_TRIAL):
    """A report that carries the searcher's metric."""

    experiment_id: Id
    trial_id: Id
    allocation_id: Id
    attempt: Int64
    step: Int64
    time: Int64
    """The report's place in units of the experiment's `time_metric`."""
    metrics: dict[str, float]
    at: float
    """Unix seconds."""
    sequence: int = 0
    """Number of the report in its attempt. Rank 0 reports; a step that comes again in a later
    attempt was trained again, and the earlier report is superseded."""


class Earlier(Frozen):
    """A report that is told together with a later one."""

    step: Int64
    metrics: dict[str, float]
    at: float
    sequence: int = 0


class TrainingReported(Event, type="metric.training", key=_TRIAL):
    """Any other report, and those of the last second before it."""

    experiment_id: Id
    trial_id: Id
    allocation_id: Id
    attempt: Int64
    step: Int64
    metrics: dict[str, float]
    at: float
    group: str = "training"
    """`training`, `validation`, or `system`: of the machine and the platform, not the script."""
    source: str = ""
    """Of `system`: the node that measured it; its step is then the last that was reported."""
    sequence: int = 0
    """As in `metric.validation`; 0 where a node measured it."""
    earlier: list[Earlier] = Field(default_factory=list)
    """Reports of the same group that came before and are told with this one, the oldest first."""


class LogWritten(Event, type="log.written", key=_TRIAL):
    """Lines that a rank wrote."""

    experiment_id: Id
    trial_id: Id
    allocation_id: Id
    rank: int
    stream: Literal["stdout", "stderr"]
    lines: list[str]
    sequence: int
    """Number of the first line, by attempt, rank and stream, from 0."""
    at: float
    attempt: int = 1
    dropped: int = 0
    """Lines that this event stands for: there were too many, and it says so in one line of its
    own. The file in storage has them."""
