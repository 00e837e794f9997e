"""Who makes a request, and what that allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shoal_contract.roles import RANKS, Role
from shoal_gateway.core.ledger.state import State


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever showed a token that counts. What was asked once is allowed once: a caller is made
    anew for each request."""

    user: str
    token_id: str
    cluster: Role | None
    """In all workspaces, and in what belongs to none."""
    workspaces: Mapping[str, Role] = field(default_factory=dict)
    """In these workspaces besides."""
    experiment: str | None = None
    """The only one that this caller, a trial's program, may see and change."""

    def role_in(self, workspace: str) -> Role | None:
        """What the caller may do in a workspace; None: not even know of it."""
        return _greatest(self.cluster, self.workspaces.get(workspace))

    def may(self, role: Role, workspace: str, experiment_id: str | None = None) -> bool:
        """Whether the caller may do what `role` may, in a workspace or with an experiment in it."""
        if self.experiment is not None and self.experiment != experiment_id:
            return False
        found = self.role_in(workspace)
        return found is not None and found.covers(role)

    def rules(self, role: Role) -> bool:
        """Whether the caller may do what `role` may in the whole cluster."""
        return self.experiment is None and self.cluster is not None and self.cluster.covers(role)

    def somewhere(self, role: Role) -> bool:
        """Whether there is a workspace in which the caller may do what `role` may."""
        roles = (self.cluster, *self.workspaces.values())
        return self.experiment is None and any(r is not None and r.covers(role) for r in roles)

    @property
    def sees_all(self) -> bool:
        """Whether all workspaces are the caller's to look at."""
        return self.rules(Role.VIEWER)


def caller_of(state: State, sha256: str, now: float) -> Caller | None:
    """Whom a token stands for; None if it does not count (any more)."""
    token = state.tokens.get(sha256)
    if token is None or token.expires_at <= now:
        return None
    user = state.users.get(token.user)
    if user is None or user.disabled:
        return None
    roles = {w.name: role for w in state.workspaces.values() if (role := w.members.get(user.name))}
    if token.workspace is not None:
        found = _greatest(user.role, roles.get(token.workspace))
        roles = {token.workspace: found} if found is not None else {}
    return Caller(
        user=user.name,
        token_id=token.token_id,
        cluster=None if token.workspace is not None else _least(user.role, token.scope),
        workspaces={name: role for name, r in roles.items() if (role := _least(r, token.scope))},
    )


def _greatest(one: Role | None, other: Role | None) -> Role | None:
    return max((r for r in (one, other) if r is not None), key=RANKS.__getitem__, default=None)


def _least(role: Role | None, limit: Role) -> Role | None:
    return None if role is None else min(role, limit, key=RANKS.__getitem__)
