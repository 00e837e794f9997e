"""What is asked of the ledger. `at` is the time of asking, in Unix seconds; what must be drawn
(ids, tokens) or computed slowly (hashes of passwords) comes with the command."""

from dataclasses import dataclass

from shoal_contract.events.access import TokenKind
from shoal_contract.roles import Role
from shoal_gateway.core.ledger.catalog import CatalogCommand
from shoal_gateway.core.ledger.projects import ProjectCommand


@dataclass(frozen=True, slots=True)
class OpenSetup:
    """Let a token make the first administrator, if there is no user yet."""

    sha256: str


@dataclass(frozen=True, slots=True)
class SetUp:
    """Make the first administrator."""

    sha256: str
    user: str
    password_hash: str
    at: float


@dataclass(frozen=True, slots=True)
class EnsureOwner:
    """Make the user of this machine an administrator, unless there is one of this name."""

    user: str
    at: float


@dataclass(frozen=True, slots=True)
class AddUser:
    """Let someone log in."""

    user: str
    password_hash: str | None
    role: Role | None
    at: float
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Give a user another password."""

    user: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class SetRole:
    """Give a user another role in the cluster, or none."""

    user: str
    role: Role | None


@dataclass(frozen=True, slots=True)
class SetEnabled:
    """Let a user in, or no longer."""

    user: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """Forget a user."""

    user: str


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Let a token stand for a user."""

    token_id: str
    user: str
    sha256: str
    kind: TokenKind
    name: str
    scope: Role
    workspace: str | None
    at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """End a token before its time."""

    token_id: str


@dataclass(frozen=True, slots=True)
class AddWorkspace:
    """Make a workspace, with its first administrator."""

    workspace: str
    description: str
    admin: str
    at: float


@dataclass(frozen=True, slots=True)
class ChangeWorkspace:
    """Describe a workspace differently."""

    workspace: str
    description: str


@dataclass(frozen=True, slots=True)
class RemoveWorkspace:
    """Have a workspace no more, nor what it keeps. Whoever asks knows that it holds nothing."""

    workspace: str


@dataclass(frozen=True, slots=True)
class SetMember:
    """Give a user a role in a workspace, or none."""

    workspace: str
    user: str
    role: Role | None


Command = (
    OpenSetup
    | SetUp
    | EnsureOwner
    | AddUser
    | SetPassword
    | SetRole
    | SetEnabled
    | RemoveUser
    | IssueToken
    | RevokeToken
    | AddWorkspace
    | ChangeWorkspace
    | RemoveWorkspace
    | SetMember
    | ProjectCommand
    | CatalogCommand
)
