"""The state machines, as data: who may go where, and on which event.

`AFTER[state][event type] -> state`. What is not in a table may not happen; a decider that
sees it ignores the message. A state without successors is terminal.
"""

from collections.abc import Mapping
from enum import StrEnum


class ExperimentState(StrEnum):
    """An experiment's life, as the searcher decides it."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class TrialState(StrEnum):
    """A trial's life, as the searcher decides it."""

    CREATED = "created"
    """Proposed; wants no slots yet."""
    WANTED = "wanted"
    """In the queue or on slots: some attempt of it is under way."""
    PAUSED = "paused"
    """Off its slots, with a checkpoint; may be promoted or resumed."""
    INTERRUPTED = "interrupted"
    """Its attempt ended without being asked to; about to be restarted or closed."""
    COMPLETED = "completed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    FAILED = "failed"


class AllocationState(StrEnum):
    """One attempt's hold on slots, as the scheduler decides it."""

    QUEUED = "queued"
    GRANTED = "granted"
    RELEASING = "releasing"
    """Its runs were told to checkpoint and leave."""
    ENDED = "ended"


class RunState(StrEnum):
    """One allocation's processes on one node, as the worker decides it."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    """Told to checkpoint and leave; killed when the grace is over."""
    EXITED = "exited"


class NodeState(StrEnum):
    """A machine with slots, as the scheduler sees it."""

    READY = "ready"
    DRAINING = "draining"
    REMOVED = "removed"


class InstanceState(StrEnum):
    """A machine as the provisioner sees it: from the request to its end."""

    REQUESTED = "requested"
    STARTED = "started"
    """The cloud says that it runs; its worker has not joined yet."""
    JOINED = "joined"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class Outcome(StrEnum):
    """How a run or an allocation ended."""

    COMPLETED = "completed"
    """The script returned by itself with exit code 0."""
    STOPPED = "stopped"
    """It was told to stop (pause, stop, cancel) and did."""
    PREEMPTED = "preempted"
    """Its slots were taken away."""
    FAILED = "failed"
    """The script ended with an error."""
    LOST = "lost"
    """The machine vanished, or the platform failed it."""


class StopReason(StrEnum):
    """Why a run is told to stop."""

    PAUSED = "paused"
    """The searcher holds the trial back; it may go on later."""
    CLOSED = "closed"
    """The trial is over: completed, stopped by the searcher, or cancelled."""
    PREEMPTED = "preempted"
    """The slots are wanted back, or the machine goes; the trial goes on elsewhere."""
    GANG_BROKEN = "gang_broken"
    """Another rank of the gang ended."""


Table = Mapping[StrEnum, Mapping[str, StrEnum]]

_E, _T, _A, _R, _N, _I = (
    ExperimentState, TrialState, AllocationState, RunState, NodeState, InstanceState,
)  # fmt: skip

EXPERIMENT: Table = {
    _E.ACTIVE: {
        "search.paused": _E.PAUSED,
        "search.closing": _E.ACTIVE,
        "search.completed": _E.COMPLETED,
        "search.cancelled": _E.CANCELLED,
        "search.failed": _E.FAILED,
    },
    _E.PAUSED: {
        "search.resumed": _E.ACTIVE,
        "search.closing": _E.PAUSED,
        "search.completed": _E.COMPLETED,
        "search.cancelled": _E.CANCELLED,
        "search.failed": _E.FAILED,
    },
    _E.COMPLETED: {},
    _E.CANCELLED: {},
    _E.FAILED: {},
}

_CLOSINGS: Mapping[str, StrEnum] = {
    "trial.completed": _T.COMPLETED,
    "trial.stopped": _T.STOPPED,
    "trial.cancelled": _T.CANCELLED,
    "trial.failed": _T.FAILED,
}

TRIAL: Table = {
    _T.CREATED: {"trial.requested": _T.WANTED, **_CLOSINGS},
    _T.WANTED: {
        "trial.extended": _T.WANTED,
        "trial.paused": _T.PAUSED,
        "trial.interrupted": _T.INTERRUPTED,
        **_CLOSINGS,
    },
    _T.PAUSED: {
        "trial.requested": _T.WANTED,
        "trial.extended": _T.PAUSED,
        "trial.paused": _T.PAUSED,
        **_CLOSINGS,
    },
    _T.INTERRUPTED: {"trial.requested": _T.WANTED, "trial.paused": _T.PAUSED, **_CLOSINGS},
    _T.COMPLETED: {},
    _T.STOPPED: {},
    _T.CANCELLED: {},
    _T.FAILED: {},
}

ALLOCATION: Table = {
    _A.QUEUED: {"allocation.granted": _A.GRANTED, "allocation.ended": _A.ENDED},
    _A.GRANTED: {"allocation.releasing": _A.RELEASING, "allocation.ended": _A.ENDED},
    _A.RELEASING: {"allocation.ended": _A.ENDED},
    _A.ENDED: {},
}

RUN: Table = {
    _R.STARTING: {
        "run.started": _R.RUNNING,
        "run.stopping": _R.STOPPING,
        "run.exited": _R.EXITED,
    },
    _R.RUNNING: {"run.stopping": _R.STOPPING, "run.exited": _R.EXITED},
    _R.STOPPING: {
        "run.started": _R.STOPPING,
        "run.stopping": _R.STOPPING,
        "run.exited": _R.EXITED,
    },
    _R.EXITED: {},
}

NODE: Table = {
    _N.READY: {"pool.node_draining": _N.DRAINING, "pool.node_removed": _N.REMOVED},
    _N.DRAINING: {"pool.node_removed": _N.REMOVED},
    _N.REMOVED: {"pool.node_admitted": _N.READY},
}

INSTANCE: Table = {
    _I.REQUESTED: {
        "instance.started": _I.STARTED,
        "instance.joined": _I.JOINED,
        "instance.failed": _I.FAILED,
        "instance.stopping": _I.STOPPING,
    },
    _I.STARTED: {
        "instance.joined": _I.JOINED,
        "instance.failed": _I.FAILED,
        "instance.stopping": _I.STOPPING,
        "instance.stopped": _I.STOPPED,
    },
    _I.JOINED: {"instance.stopping": _I.STOPPING, "instance.stopped": _I.STOPPED},
    _I.STOPPING: {"instance.stopped": _I.STOPPED},
    _I.STOPPED: {},
    _I.FAILED: {},
}

TABLES: Mapping[str, Table] = {
    "experiment": EXPERIMENT,
    "trial": TRIAL,
    "allocation": ALLOCATION,
    "run": RUN,
    "node": NODE,
    "instance": INSTANCE,
}


def allowed(table: Table, state: StrEnum, event_type: str) -> bool:
    """Whether `event_type` may happen to a thing in `state`."""
    return event_type in table[state]


def terminal(table: Table, state: StrEnum) -> bool:
    """Whether nothing may follow `state`."""
    return not table[state]
