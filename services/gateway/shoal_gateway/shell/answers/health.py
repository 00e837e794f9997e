"""Answers to whoever watches over the gateway."""

from typing import Literal

from shoal_gateway.shell.answers.base import Answer


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"]
    version: str


class Ready(Answer):
    """NATS and Redis answer, and reads show what has happened."""

    status: Literal["ready"]
