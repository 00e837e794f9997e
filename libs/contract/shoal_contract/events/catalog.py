"""What a workspace keeps for its experiments, written by the gateway for itself: templates, models
with their versions, and webhooks."""

from typing import Any, Literal

from pydantic import Field

from shoal_contract.base import Id
from shoal_contract.events.base import Event

_NAMED = ("workspace", "name")
Stage = Literal["none", "staging", "production", "archived"]


class TemplateKept(Event, type="template.kept", key=_NAMED):
    """A workspace has a template of this name, a part of a config."""

    workspace: Id
    name: Id
    config: dict[str, Any]
    by: str
    at: float


class TemplateRemoved(Event, type="template.removed", key=_NAMED):
    """A template is no more."""

    workspace: Id
    name: Id


class ModelCreated(Event, type="model.created", key=_NAMED):
    """A workspace has a model of this name, without versions yet."""

    workspace: Id
    name: Id
    description: str = ""
    by: str
    at: float


class ModelDescribed(Event, type="model.described", key=_NAMED):
    """A model has another description."""

    workspace: Id
    name: Id
    description: str


class ModelRemoved(Event, type="model.removed", key=_NAMED):
    """A model is no more, nor its versions. Their checkpoints stay."""

    workspace: Id
    name: Id


class ModelVersionAdded(Event, type="model.version_added", key=_NAMED):
    """A checkpoint became a version of a model."""

    workspace: Id
    name: Id
    version: int = Field(ge=1)
    experiment_id: Id
    checkpoint_id: str
    url: str
    """Where the checkpoint is."""
    notes: str = ""
    by: str
    at: float


class ModelVersionChanged(Event, type="model.version_changed", key=_NAMED):
    """A version has other notes, or another stage; None: it stays."""

    workspace: Id
    name: Id
    version: int
    notes: str | None = None
    stage: Stage | None = None


class WebhookCreated(Event, type="webhook.created", key=_NAMED):
    """A receiver is told what happens in a workspace."""

    workspace: Id
    name: Id
    url: str
    events: list[str]
    """Beginnings of event types."""
    sealed: str
    """What messages are signed with, encrypted."""
    by: str
    at: float


class WebhookChanged(Event, type="webhook.changed", key=_NAMED):
    """A receiver is elsewhere, or is told something else; None: it stays."""

    workspace: Id
    name: Id
    url: str | None = None
    events: list[str] | None = None


class WebhookRemoved(Event, type="webhook.removed", key=_NAMED):
    """A receiver is told no more."""

    workspace: Id
    name: Id
