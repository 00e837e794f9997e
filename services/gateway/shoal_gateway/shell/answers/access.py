"""Answers about who may do what, and who did."""

from typing import Literal

from shoal_contract.events.access import TokenKind
from shoal_contract.roles import Role
from shoal_gateway.shell.answers.base import Answer, Paged


class NewToken(Answer):
    """A token that was made now. It is shown here alone."""

    token: str
    """Goes into `Authorization: Bearer …`."""
    token_id: str
    user: str
    expires_at: float


class Me(Answer):
    """Whom a token stands for, and what it allows."""

    user: str
    token_id: str
    role: Role | None
    """In all workspaces."""
    workspaces: dict[str, Role]
    """In these workspaces besides."""
    experiment_id: str | None
    """The only one that the token is for: that of a trial."""


class TokenRow(Answer):
    """A token, without what it is shown as."""

    token_id: str
    user: str
    kind: TokenKind
    name: str
    scope: Literal["read", "write", "admin"]
    workspace: str | None
    """The only one in which it counts."""
    created_at: float
    expires_at: float


class Tokens(Paged):
    """Tokens that count."""

    items: list[TokenRow]


class UserRow(Answer):
    """Someone who may log in."""

    user: str
    role: Role | None
    """In the whole cluster."""
    enabled: bool
    has_password: bool
    subject: str | None
    """Who this is to the OpenID Connect provider."""
    created_at: float


class Users(Paged):
    """All users."""

    items: list[UserRow]


class WorkspaceRow(Answer):
    """A place for experiments."""

    workspace: str
    description: str
    created_at: float
    role: Role | None
    """What the caller may do in it."""


class Quota(Answer):
    """What a workspace had used of a month's quotas when one was used up, or no more was."""

    month: str
    """As `2026-11`, in UTC."""
    used_up: str
    """The quota that is, in words; empty: none is."""
    slot_hours: float
    money: float
    """Spent, as far as prices are known."""
    at: float
    """Unix seconds."""


class WorkspaceMembers(WorkspaceRow):
    """A workspace with its members."""

    members: dict[str, Role]
    quota: Quota | None
    """Null: none was ever used up."""


class Member(Answer):
    """A user's membership of a workspace."""

    user: str
    role: Role


class Workspaces(Paged):
    """The workspaces that the caller may see."""

    items: list[WorkspaceRow]


class ProjectRow(Answer):
    """A project of a workspace."""

    workspace: str
    project_id: str
    """It stays, whatever the project is called."""
    name: str
    description: str
    by: str | None
    """Who made it; null: it is always there."""
    at: float
    archived: bool
    """Whether it takes no more experiments."""


class ProjectRows(Paged):
    """The projects of a workspace."""

    items: list[ProjectRow]


class SecretName(Answer):
    """A secret, without its value."""

    name: str
    set_at: float


class Secrets(Paged):
    """The secrets of a workspace."""

    items: list[SecretName]


class AuditRecord(Answer):
    """A request that would have changed something."""

    id: int
    user: str
    """Who asked; `nobody` where that is not known."""
    token_id: str | None
    method: str
    path: str
    status: int
    """The HTTP status of the answer."""
    address: str
    """Where it came from."""
    at: float


class Audit(Paged):
    """A page of the audit log, newest first."""

    items: list[AuditRecord]
