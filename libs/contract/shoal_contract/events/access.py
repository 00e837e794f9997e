"""Who may do what, written by the gateway for itself. These events hold hashes and sealed secrets:
their stream is private, and no subscriber is shown them."""

from typing import Literal

from shoal_contract.base import Id
from shoal_contract.events.base import Event
from shoal_contract.roles import Role

_USER = ("user",)
_WORKSPACE = ("workspace",)
TokenKind = Literal["login", "api"]


class SetupOpened(Event, type="setup.opened", key=("sha256",)):
    """Whoever shows a token of this hash may make the first administrator."""

    sha256: Id


class UserCreated(Event, type="user.created", key=_USER):
    """Someone may log in."""

    user: Id
    password_hash: str | None = None
    """By argon2. None: without a password."""
    subject: str | None = None
    """Who this is to the OpenID Connect provider: `<issuer>#<sub>`."""
    role: Role | None = None
    """In the whole cluster; None: only in the workspaces that the user is a member of."""
    at: float
    """Unix seconds."""


class UserPasswordSet(Event, type="user.password_set", key=_USER):
    """A password was set; who had logged in before must do so again."""

    user: Id
    password_hash: str


class UserRoleSet(Event, type="user.role_set", key=_USER):
    """A user has another role in the cluster, or none."""

    user: Id
    role: Role | None


class UserEnabled(Event, type="user.enabled", key=_USER):
    """A user's tokens count again."""

    user: Id


class UserDisabled(Event, type="user.disabled", key=_USER):
    """A user's tokens no longer count."""

    user: Id


class UserRemoved(Event, type="user.removed", key=_USER):
    """A user is gone, with all tokens and memberships."""

    user: Id


class TokenIssued(Event, type="token.issued", key=_USER):
    """A token was shown to its user, once."""

    token_id: Id
    user: Id
    sha256: str
    kind: TokenKind
    name: str
    """What the user calls it."""
    scope: Role
    """The most that it lets its user do."""
    workspace: Id | None = None
    """The only one in which it counts; None: all."""
    at: float
    expires_at: float
    """Unix seconds."""


class TokenRevoked(Event, type="token.revoked", key=_USER):
    """A token counts no longer."""

    token_id: Id
    user: Id


class WorkspaceCreated(Event, type="workspace.created", key=_WORKSPACE):
    """A place for experiments that others do not see."""

    workspace: Id
    description: str = ""
    at: float


class WorkspaceChanged(Event, type="workspace.changed", key=_WORKSPACE):
    """A workspace has another description."""

    workspace: Id
    description: str


class WorkspaceRemoved(Event, type="workspace.removed", key=_WORKSPACE):
    """A workspace is no more, nor what it kept. Its name is not given again."""

    workspace: Id


class WorkspaceMemberSet(Event, type="workspace.member_set", key=_WORKSPACE):
    """A user has a role in a workspace, or no longer has one."""

    workspace: Id
    user: Id
    role: Role | None


class ProjectCreated(Event, type="workspace.project_created", key=_WORKSPACE):
    """A workspace has a further project, to which experiments may belong."""

    workspace: Id
    project_id: Id
    """It stays, whatever the project is called later."""
    name: Id
    description: str = ""
    by: str
    at: float


class ProjectChanged(Event, type="workspace.project_changed", key=_WORKSPACE):
    """A project is called or described differently, or takes no more experiments, or does again.
    None: it stays."""

    workspace: Id
    project_id: Id
    name: Id | None = None
    description: str | None = None
    archived: bool | None = None


class SecretKept(Event, type="secret.kept", key=("workspace", "name")):
    """A workspace has a secret of this name, which its experiments may ask for; or no longer. Its
    stream holds the newest alone, so what was replaced is gone."""

    workspace: Id
    name: Id
    sealed: str | None
    """The value, encrypted with the platform's secret key. None: it was removed."""
    at: float


class RequestAudited(Event, type="audit.recorded", key=_USER):
    """A request that would change something was answered."""

    user: Id
    """Who asked; `nobody` where that is not known."""
    token_id: str | None = None
    method: str
    path: str
    status: int
    """The HTTP status of the answer."""
    address: str
    """Where it came from."""
    at: float
