"""Answers about who may do what, and who did."""

from typing import Literal, TypedDict

Role = Literal["viewer", "editor", "admin"]
TokenKind = Literal["login", "api"]


class NewToken(TypedDict):
    """A token that was made now. It is shown here alone."""

    token: str
    token_id: str
    user: str
    expires_at: float


class Me(TypedDict):
    """Whom a token stands for, and what it allows."""

    user: str
    token_id: str
    role: Role | None
    workspaces: dict[str, Role]
    experiment_id: str | None


class TokenRow(TypedDict):
    """A token, without what it is shown as."""

    token_id: str
    user: str
    kind: TokenKind
    name: str
    scope: Literal["read", "write", "admin"]
    workspace: str | None
    created_at: float
    expires_at: float


class UserRow(TypedDict):
    """Someone who may log in."""

    user: str
    role: Role | None
    enabled: bool
    has_password: bool
    subject: str | None
    created_at: float


class WorkspaceRow(TypedDict):
    """A place for experiments."""

    workspace: str
    description: str
    created_at: float
    role: Role | None


class Quota(TypedDict):
    """What a workspace had used of a month's quotas when one was used up, or no more was."""

    month: str
    used_up: str
    slot_hours: float
    money: float
    at: float


class WorkspaceMembers(WorkspaceRow):
    """A workspace with its members."""

    members: dict[str, Role]
    quota: Quota | None


class ProjectRow(TypedDict):
    """A project of a workspace."""

    workspace: str
    project_id: str
    name: str
    description: str
    by: str | None
    at: float
    archived: bool


class SecretName(TypedDict):
    """A secret, without its value."""

    name: str
    set_at: float


class AuditRecord(TypedDict):
    """A request that would have changed something."""

    id: int
    user: str
    token_id: str | None
    method: str
    path: str
    status: int
    address: str
    at: float
