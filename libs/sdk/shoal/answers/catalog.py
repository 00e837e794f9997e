"""Answers about what a workspace keeps for its experiments."""

from typing import Literal, TypedDict

from shoal.answers.base import Row

Stage = Literal["none", "staging", "production", "archived"]


class TemplateRow(TypedDict):
    """A part of a config."""

    name: str
    config: Row
    by: str
    at: float


class VersionRow(TypedDict):
    """A checkpoint that is one of a model's versions."""

    version: int
    experiment_id: str
    checkpoint_id: str
    url: str
    notes: str
    by: str
    at: float
    stage: Stage


class ModelRow(TypedDict):
    """A model with its versions."""

    workspace: str
    name: str
    description: str
    by: str
    at: float
    versions: list[VersionRow]


class WebhookRow(TypedDict):
    """A receiver, and what it is told."""

    webhook_id: str
    url: str
    events: list[str]
    by: str
    at: float


class NewWebhookRow(WebhookRow):
    """A receiver that was added now."""

    secret: str
