"""The questions about what a workspace keeps: projects, templates, models, webhooks."""

from collections.abc import Sequence

from shoal.answers.access import ProjectRow
from shoal.answers.base import Nothing, Row
from shoal.answers.catalog import ModelRow, NewWebhookRow, TemplateRow, VersionRow, WebhookRow
from shoal.asking import Steps, created, given, pages, part, question, row


class Catalog:
    """The questions, for both clients. Each raises ShoalError as those of `Api` do."""

    @question
    def projects(
        self, workspace: str = "default", *, archived: bool = False
    ) -> Steps[list[ProjectRow]]:
        """The projects of a workspace; with `archived`, those as well."""
        return pages(_in(workspace, "projects"), archived=archived)

    @question
    def project(self, name: str, workspace: str = "default") -> Steps[ProjectRow]:
        """One project."""
        return row("GET", _in(workspace, "projects", name))

    @question
    def create_project(
        self,
        name: str,
        description: str = "",
        workspace: str = "default",
        *,
        key: str | None = None,
    ) -> Steps[ProjectRow]:
        """Have a project, to which experiments may belong (`project` in their config)."""
        body = {"name": name, "description": description}
        return created(_in(workspace, "projects"), body, key)

    @question
    def change_project(
        self,
        name: str,
        *,
        new_name: str | None = None,
        description: str | None = None,
        archived: bool | None = None,
        workspace: str = "default",
    ) -> Steps[ProjectRow]:
        """Call or describe a project differently, or archive it: then it takes no more
        experiments, and keeps those that it has. What is None stays."""
        body = given(name=new_name, description=description, archived=archived)
        return row("PATCH", _in(workspace, "projects", name), json=body)

    @question
    def templates(self, workspace: str = "default") -> Steps[list[TemplateRow]]:
        """The templates of a workspace."""
        return pages(_in(workspace, "templates"))

    @question
    def set_template(
        self, name: str, config: Row, workspace: str = "default"
    ) -> Steps[TemplateRow]:
        """Keep a part of a config, which experiments may begin with."""
        return row("PUT", _in(workspace, "templates", name), json=config)

    @question
    def remove_template(self, name: str, workspace: str = "default") -> Steps[Nothing]:
        """Forget a template."""
        return row("DELETE", _in(workspace, "templates", name))

    @question
    def models(self, workspace: str = "default") -> Steps[list[ModelRow]]:
        """The models of a workspace, with their versions."""
        return pages(_in(workspace, "models"))

    @question
    def model(self, name: str, workspace: str = "default") -> Steps[ModelRow]:
        """One model."""
        return row("GET", _in(workspace, "models", name))

    @question
    def create_model(
        self,
        name: str,
        description: str = "",
        workspace: str = "default",
        *,
        key: str | None = None,
    ) -> Steps[ModelRow]:
        """Have a model, without versions."""
        body = {"name": name, "description": description}
        return created(_in(workspace, "models"), body, key)

    @question
    def remove_model(self, name: str, workspace: str = "default") -> Steps[Nothing]:
        """Forget a model. The checkpoints of its versions stay."""
        return row("DELETE", _in(workspace, "models", name))

    @question
    def versions(self, name: str, workspace: str = "default") -> Steps[list[VersionRow]]:
        """The versions of a model, the first first."""
        return pages(_in(workspace, "models", name, "versions"))

    @question
    def version(self, name: str, version: int, workspace: str = "default") -> Steps[VersionRow]:
        """One version of a model."""
        return row("GET", _in(workspace, "models", name, "versions", str(version)))

    @question
    def add_version(
        self,
        name: str,
        checkpoint_id: str,
        notes: str = "",
        workspace: str = "default",
        *,
        key: str | None = None,
    ) -> Steps[VersionRow]:
        """Make a checkpoint the next version of a model."""
        body = {"checkpoint_id": checkpoint_id, "notes": notes}
        return created(_in(workspace, "models", name, "versions"), body, key)

    @question
    def change_version(
        self,
        name: str,
        version: int,
        *,
        notes: str | None = None,
        stage: str | None = None,
        workspace: str = "default",
    ) -> Steps[VersionRow]:
        """Give a version other notes, or a stage: `none`, `staging`, `production`, `archived`."""
        path = _in(workspace, "models", name, "versions", str(version))
        return row("PATCH", path, json=given(notes=notes, stage=stage))

    @question
    def webhooks(self, workspace: str = "default") -> Steps[list[WebhookRow]]:
        """Who is told what happens in a workspace."""
        return pages(_in(workspace, "webhooks"))

    @question
    def create_webhook(
        self,
        url: str,
        events: Sequence[str],
        workspace: str = "default",
        *,
        key: str | None = None,
    ) -> Steps[NewWebhookRow]:
        """Have a receiver told; the answer's `secret` signs all messages and is not shown again."""
        body = {"url": url, "events": list(events)}
        return created(_in(workspace, "webhooks"), body, key)

    @question
    def webhook(self, webhook_id: str, workspace: str = "default") -> Steps[WebhookRow]:
        """One webhook."""
        return row("GET", _in(workspace, "webhooks", webhook_id))

    @question
    def change_webhook(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        workspace: str = "default",
    ) -> Steps[WebhookRow]:
        """Tell a receiver elsewhere, or something else; what is None stays, as the secret does."""
        body = given(url=url, events=None if events is None else list(events))
        return row("PATCH", _in(workspace, "webhooks", webhook_id), json=body)

    @question
    def remove_webhook(self, webhook_id: str, workspace: str = "default") -> Steps[Nothing]:
        """Tell a receiver no more."""
        return row("DELETE", _in(workspace, "webhooks", webhook_id))


def _in(workspace: str, *parts: str) -> str:
    return "/".join(("/v1/workspaces", *(part(p) for p in (workspace, *parts))))
