"""What the scheduler's own shell tells its core."""

from pydantic import BaseModel


class NodeSilent(BaseModel, frozen=True):
    """A node's heartbeat has not been heard for longer than the time-out."""

    node_id: str
    incarnation: str
    seconds: float
    """The time-out."""
