"""Templates, models with their versions, webhooks: the part of the ledger that is about no
access."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shoal_contract.events.base import Event
from shoal_contract.events.catalog import (
    ModelCreated,
    ModelDescribed,
    ModelRemoved,
    ModelVersionAdded,
    ModelVersionChanged,
    Stage,
    TemplateKept,
    TemplateRemoved,
    WebhookChanged,
    WebhookCreated,
    WebhookRemoved,
)

Name = tuple[str, str]
"""A workspace, and a name in it."""


@dataclass(frozen=True, slots=True)
class KeepTemplate:
    """Have a template, instead of one of this name."""

    workspace: str
    name: str
    config: Mapping[str, Any]
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class RemoveTemplate:
    """Forget a template."""

    workspace: str
    name: str


@dataclass(frozen=True, slots=True)
class CreateModel:
    """Have a model."""

    workspace: str
    name: str
    description: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class DescribeModel:
    """Give a model another description."""

    workspace: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class RemoveModel:
    """Forget a model."""

    workspace: str
    name: str


@dataclass(frozen=True, slots=True)
class AddVersion:
    """Make a checkpoint the next version of a model."""

    workspace: str
    name: str
    experiment_id: str
    checkpoint_id: str
    url: str
    notes: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class ChangeVersion:
    """Give a version other notes or another stage; None: it stays."""

    workspace: str
    name: str
    version: int
    notes: str | None
    stage: Stage | None


@dataclass(frozen=True, slots=True)
class CreateWebhook:
    """Tell a receiver what happens; `name` is the webhook's id."""

    workspace: str
    name: str
    url: str
    events: tuple[str, ...]
    sealed: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class ChangeWebhook:
    """Tell a receiver elsewhere, or something else; None: it stays."""

    workspace: str
    name: str
    url: str | None
    events: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class RemoveWebhook:
    """Tell a receiver no more."""

    workspace: str
    name: str


CatalogCommand = (
    KeepTemplate
    | RemoveTemplate
    | CreateModel
    | DescribeModel
    | RemoveModel
    | AddVersion
    | ChangeVersion
    | CreateWebhook
    | ChangeWebhook
    | RemoveWebhook
)


@dataclass(slots=True)
class Version:
    """A checkpoint that is one of a model's versions."""

    version: int
    experiment_id: str
    checkpoint_id: str
    url: str
    notes: str
    by: str
    at: float
    stage: Stage = "none"


@dataclass(slots=True)
class Model:
    """A model; version `n` is at `n - 1`."""

    workspace: str
    name: str
    description: str
    by: str
    at: float
    versions: list[Version] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver, and what it is told of its workspace."""

    webhook_id: str
    workspace: str
    url: str
    events: tuple[str, ...]
    sealed: str
    by: str
    at: float


@dataclass(slots=True)
class Catalog:
    """Everything, by workspace and name."""

    templates: dict[Name, TemplateKept] = field(default_factory=dict)
    models: dict[Name, Model] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    """By id."""

    def leave(self, workspace: str) -> None:
        """Forget all that a workspace keeps."""
        self.templates = {k: v for k, v in self.templates.items() if v.workspace != workspace}
        self.models = {k: v for k, v in self.models.items() if v.workspace != workspace}
        self.webhooks = {k: v for k, v in self.webhooks.items() if v.workspace != workspace}


def decide(catalog: Catalog, command: CatalogCommand) -> list[Event] | tuple[str, str]:
    """The events that follow; or what is not there (`template`, `model`, `version`, and its name),
    or `taken` and the name."""
    place: Name = (command.workspace, command.name)
    named = {"workspace": command.workspace, "name": command.name}
    match command:
        case KeepTemplate():
            config = dict(command.config)
            return [TemplateKept(**named, config=config, by=command.by, at=command.at)]
        case RemoveTemplate():
            if place not in catalog.templates:
                return ("template", command.name)
            return [TemplateRemoved(**named)]
        case CreateModel():
            if place in catalog.models:
                return ("taken", command.name)
            return [
                ModelCreated(**named, description=command.description, by=command.by, at=command.at)
            ]
        case CreateWebhook():
            if command.name in catalog.webhooks:
                return ("taken", command.name)
            return [
                WebhookCreated(
                    **named,
                    url=command.url,
                    events=list(command.events),
                    sealed=command.sealed,
                    by=command.by,
                    at=command.at,
                )
            ]
        case ChangeWebhook() | RemoveWebhook():
            hook = catalog.webhooks.get(command.name)
            if hook is None or hook.workspace != command.workspace:
                return ("webhook", command.name)
            if isinstance(command, RemoveWebhook):
                return [WebhookRemoved(**named)]
            events = None if command.events is None else list(command.events)
            return [WebhookChanged(**named, url=command.url, events=events)]
        case _:
            model = catalog.models.get(place)
            return ("model", command.name) if model is None else _change(model, command, named)


def _change(
    model: Model,
    command: DescribeModel | RemoveModel | AddVersion | ChangeVersion,
    named: dict[str, str],
) -> list[Event] | tuple[str, str]:
    match command:
        case DescribeModel():
            return [ModelDescribed(**named, description=command.description)]
        case RemoveModel():
            return [ModelRemoved(**named)]
        case AddVersion():
            return [
                ModelVersionAdded(
                    **named,
                    version=len(model.versions) + 1,
                    experiment_id=command.experiment_id,
                    checkpoint_id=command.checkpoint_id,
                    url=command.url,
                    notes=command.notes,
                    by=command.by,
                    at=command.at,
                )
            ]
        case ChangeVersion():
            if not 1 <= command.version <= len(model.versions):
                return ("version", f"{model.name}/{command.version}")
            return [
                ModelVersionChanged(
                    **named, version=command.version, notes=command.notes, stage=command.stage
                )
            ]


def evolve(catalog: Catalog, event: Event) -> None:
    """Change the catalogue by an event. At most one version of a model is in production."""
    match event:
        case TemplateKept():
            catalog.templates[event.workspace, event.name] = event
        case TemplateRemoved():
            del catalog.templates[event.workspace, event.name]
        case ModelCreated():
            catalog.models[event.workspace, event.name] = Model(
                event.workspace, event.name, event.description, event.by, event.at
            )
        case ModelDescribed():
            catalog.models[event.workspace, event.name].description = event.description
        case ModelRemoved():
            del catalog.models[event.workspace, event.name]
        case ModelVersionAdded():
            catalog.models[event.workspace, event.name].versions.append(
                Version(
                    event.version,
                    event.experiment_id,
                    event.checkpoint_id,
                    event.url,
                    event.notes,
                    event.by,
                    event.at,
                )
            )
        case WebhookCreated():
            catalog.webhooks[event.name] = Webhook(
                event.name,
                event.workspace,
                event.url,
                tuple(event.events),
                event.sealed,
                event.by,
                event.at,
            )
        case WebhookChanged():
            hook = catalog.webhooks[event.name]
            events = hook.events if event.events is None else tuple(event.events)
            catalog.webhooks[event.name] = replace(hook, url=event.url or hook.url, events=events)
        case WebhookRemoved():
            del catalog.webhooks[event.name]
        case ModelVersionChanged():
            _change_version(catalog.models[event.workspace, event.name], event)


def _change_version(model: Model, event: ModelVersionChanged) -> None:
    if event.stage == "production":
        for version in model.versions:
            if version.stage == "production":
                version.stage = "archived"
    changed = model.versions[event.version - 1]
    changed.notes = changed.notes if event.notes is None else event.notes
    changed.stage = event.stage or changed.stage
