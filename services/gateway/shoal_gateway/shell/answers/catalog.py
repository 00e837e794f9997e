"""Answers about what a workspace keeps for its experiments."""

from shoal_contract.events.catalog import Stage
from shoal_gateway.shell.answers.base import Answer, Paged, Row


class TemplateRow(Answer):
    """A part of a config."""

    name: str
    config: Row
    by: str
    """Who kept it."""
    at: float


class Templates(Paged):
    """The templates of a workspace."""

    items: list[TemplateRow]


class VersionRow(Answer):
    """A checkpoint that is one of a model's versions."""

    version: int
    experiment_id: str
    checkpoint_id: str
    url: str
    """Where the checkpoint is."""
    notes: str
    by: str
    at: float
    stage: Stage


class Versions(Paged):
    """The versions of a model, the first first."""

    items: list[VersionRow]


class ModelRow(Answer):
    """A model with its versions."""

    workspace: str
    name: str
    description: str
    by: str
    at: float
    versions: list[VersionRow]
    """In order: the first is version 1."""


class Models(Paged):
    """The models of a workspace."""

    items: list[ModelRow]


class WebhookRow(Answer):
    """A receiver, and what it is told."""

    webhook_id: str
    url: str
    events: list[str]
    """Beginnings of event types."""
    by: str
    at: float


class NewWebhookRow(WebhookRow):
    """A receiver that was added now."""

    secret: str
    """Signs all that it is told. It is shown here alone."""


class Webhooks(Paged):
    """The webhooks of a workspace."""

    items: list[WebhookRow]
