"""Answers about the gateway itself, and the feed beside it."""

from typing import Literal

from shoal_gateway.shell.answers.base import Answer


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"]
    version: str


class Ready(Answer):
    """NATS and Redis answer, and reads show what has happened."""

    status: Literal["ready"]


class FeedPart(Answer):
    """The events of a workspace in the feed."""

    stream: str
    """Of JetStream."""
    subjects: str
    """For a plain subscription, with wildcards."""


class Feed(Answer):
    """Where programs that speak NATS subscribe to events."""

    url: str
    inbox: str
    """What the subjects begin with at which the caller may hear answers: the client's prefix."""
    workspaces: dict[str, FeedPart]
    """Those that the caller may read."""
