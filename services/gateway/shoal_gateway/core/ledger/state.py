"""What the ledger holds: users, tokens, workspaces, and what these keep."""

from dataclasses import dataclass, field

from shoal_contract.events.access import TokenKind
from shoal_contract.roles import Role
from shoal_gateway.core.ledger import projects
from shoal_gateway.core.ledger.catalog import Catalog
from shoal_gateway.core.ledger.projects import Projects

DEFAULT = "default"
"""The workspace that there always is."""


@dataclass(slots=True)
class User:
    """Someone who may log in."""

    name: str
    password_hash: str | None
    subject: str | None
    role: Role | None
    """In the whole cluster."""
    created_at: float
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """What its holder shows; only its hash is known."""

    token_id: str
    user: str
    kind: TokenKind
    name: str
    scope: Role
    workspace: str | None
    created_at: float
    expires_at: float


@dataclass(slots=True)
class Workspace:
    """A place for experiments, with those who may see it."""

    name: str
    description: str = ""
    created_at: float = 0.0
    members: dict[str, Role] = field(default_factory=dict)
    projects: Projects = field(default_factory=projects.first)


def _workspaces() -> dict[str, Workspace]:
    return {DEFAULT: Workspace(DEFAULT)}


@dataclass(slots=True)
class State:
    """Everything, by name; tokens by their SHA-256."""

    setup: dict[str, None] = field(default_factory=dict)
    """The hashes of tokens that make the first administrator."""
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    workspaces: dict[str, Workspace] = field(default_factory=_workspaces)
    removed: set[str] = field(default_factory=set)
    """Names of workspaces that are no more."""
    catalog: Catalog = field(default_factory=Catalog)

    def token(self, token_id: str) -> Token | None:
        """A token by its id."""
        return next((t for t in self.tokens.values() if t.token_id == token_id), None)

    def by_subject(self, subject: str) -> User | None:
        """The user whom the OpenID Connect provider calls so."""
        return next((u for u in self.users.values() if u.subject == subject), None)
