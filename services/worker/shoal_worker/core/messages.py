"""What the worker's own shell tells its core."""

from pydantic import BaseModel


class RanksStarted(BaseModel, frozen=True):
    """The processes of a run exist."""

    run_id: str
    pids: list[int]


class StartFailed(BaseModel, frozen=True):
    """A run's files or processes could not be made."""

    run_id: str
    reason: str


class RankEnded(BaseModel, frozen=True):
    """A process of a run ended."""

    run_id: str
    rank: int
    exit_code: int
    tail: str
    """Its last words on stderr."""
    error: str = ""
    """The exception that left its script, in full; empty: none did, or it is not known."""
    failed_at: float | None = None
    """Unix seconds of that."""
    lost: bool = False
    """Whether the platform failed it (a container engine, for one), not its script."""
    last_step: int | None = None
    """Step of the last validation result of its run that is in the stream; None: there is none."""
    last_time: int | None = None


class DrainRequested(BaseModel, frozen=True):
    """The machine goes away, or is wanted back."""

    reason: str
    seconds: float
