"""Answers about the gateway itself, and the feed beside it."""

from typing import TypedDict


class FeedPart(TypedDict):
    """The events of a workspace in the feed."""

    stream: str
    subjects: str


class Feed(TypedDict):
    """Where programs that speak NATS subscribe to events."""

    url: str
    inbox: str
    workspaces: dict[str, FeedPart]
