"""What follows from a command, or why nothing does."""

from dataclasses import dataclass
from typing import Literal

from shoal_contract.events.access import (
    SetupOpened,
    TokenIssued,
    TokenRevoked,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserPasswordSet,
    UserRemoved,
    UserRoleSet,
    WorkspaceChanged,
    WorkspaceCreated,
    WorkspaceMemberSet,
    WorkspaceRemoved,
)
from shoal_contract.events.base import Event
from shoal_contract.roles import Role
from shoal_gateway.core.ledger import catalog, projects
from shoal_gateway.core.ledger import commands as c
from shoal_gateway.core.ledger.catalog import CatalogCommand
from shoal_gateway.core.ledger.projects import AddProject, ChangeProject, ProjectCommand
from shoal_gateway.core.ledger.state import DEFAULT, State

MAX_TOKENS = 200
"""Tokens that count at once, for each user."""
RESERVED = ("nobody",)
"""Names that no user may have: the audit log uses them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that nothing follows from."""

    kind: Literal["unknown", "conflict", "denied"]
    detail: str


def decide(state: State, command: c.Command) -> list[Event] | Refusal:
    """The events that follow from a command. None follow from what is so already."""
    match command:
        case c.OpenSetup():
            return [] if state.users else [SetupOpened(sha256=command.sha256)]
        case c.SetUp():
            return _set_up(state, command)
        case c.EnsureOwner():
            if command.user in state.users:
                return []
            return _add_user(state, c.AddUser(command.user, None, Role.ADMIN, command.at))
        case c.AddUser():
            return _add_user(state, command)
        case c.SetPassword() | c.SetRole() | c.SetEnabled() | c.RemoveUser():
            return _change_user(state, command)
        case c.IssueToken():
            return _issue(state, command)
        case c.RevokeToken():
            token = state.token(command.token_id)
            if token is None:
                return _unknown("token", command.token_id)
            return [TokenRevoked(token_id=token.token_id, user=token.user)]
        case c.AddWorkspace():
            return _add_workspace(state, command)
        case c.ChangeWorkspace() | c.RemoveWorkspace():
            return _change_workspace(state, command)
        case c.SetMember():
            return _set_member(state, command)
        case AddProject() | ChangeProject():
            return _in_projects(state, command)
        case _:
            return _in_catalog(state, command)


def _set_up(state: State, command: c.SetUp) -> list[Event] | Refusal:
    if state.users:
        return Refusal("denied", "The platform is set up already: log in.")
    if command.sha256 not in state.setup:
        return Refusal("denied", "This is none of the set-up tokens that the gateway printed.")
    return _add_user(state, c.AddUser(command.user, command.password_hash, Role.ADMIN, command.at))


def _add_user(state: State, command: c.AddUser) -> list[Event] | Refusal:
    if command.user in state.users or command.user in RESERVED:
        return _taken(command.user)
    if command.subject is not None and state.by_subject(command.subject) is not None:
        return Refusal("conflict", "This person has a user already.")
    return [
        UserCreated(
            user=command.user,
            password_hash=command.password_hash,
            subject=command.subject,
            role=command.role,
            at=command.at,
        )
    ]


def _change_user(
    state: State, command: c.SetPassword | c.SetRole | c.SetEnabled | c.RemoveUser
) -> list[Event] | Refusal:
    user = state.users.get(command.user)
    if user is None:
        return _unknown("user", command.user)
    match command:
        case c.SetPassword():
            return [UserPasswordSet(user=user.name, password_hash=command.password_hash)]
        case c.SetRole():
            if command.role is not Role.ADMIN and _is_last_admin(state, user.name):
                return _last_admin(user.name)
            return [] if command.role == user.role else [
                UserRoleSet(user=user.name, role=command.role)
            ]  # fmt: skip
        case c.SetEnabled():
            if not command.enabled and _is_last_admin(state, user.name):
                return _last_admin(user.name)
            if command.enabled is not user.disabled:
                return []
            cls = UserEnabled if command.enabled else UserDisabled
            return [cls(user=user.name)]
        case c.RemoveUser():
            if _is_last_admin(state, user.name):
                return _last_admin(user.name)
            return [UserRemoved(user=user.name)]


def _is_last_admin(state: State, name: str) -> bool:
    admins = [u.name for u in state.users.values() if u.role is Role.ADMIN and not u.disabled]
    return admins == [name]


def _last_admin(name: str) -> Refusal:
    detail = f"{name} is the last administrator of the cluster: make another one first."
    return Refusal("conflict", detail)


def _issue(state: State, command: c.IssueToken) -> list[Event] | Refusal:
    user = state.users.get(command.user)
    if user is None or user.disabled:
        return _unknown("user", command.user)
    if command.workspace is not None and command.workspace not in state.workspaces:
        return _unknown("workspace", command.workspace)
    tokens = state.tokens.values()
    own = [t for t in tokens if t.user == user.name and t.kind == "api"]
    live = sum(t.expires_at > command.at for t in own)
    if command.kind == "api" and live >= MAX_TOKENS:
        detail = f"{user.name} has {live} tokens, as many as a user may: revoke one first."
        return Refusal("conflict", detail)
    return [
        TokenIssued(
            token_id=command.token_id,
            user=command.user,
            sha256=command.sha256,
            kind=command.kind,
            name=command.name,
            scope=command.scope,
            workspace=command.workspace,
            at=command.at,
            expires_at=command.expires_at,
        )
    ]


def _add_workspace(state: State, command: c.AddWorkspace) -> list[Event] | Refusal:
    name = command.workspace
    if name in state.workspaces:
        return Refusal("conflict", f"There is a workspace {name!r} already.")
    if name in state.removed:
        detail = f"There was a workspace {name!r}: its name is not given again."
        return Refusal("conflict", detail)
    if command.admin not in state.users:
        return _unknown("user", command.admin)
    return [
        WorkspaceCreated(workspace=name, description=command.description, at=command.at),
        WorkspaceMemberSet(workspace=name, user=command.admin, role=Role.ADMIN),
    ]


def _change_workspace(
    state: State, command: c.ChangeWorkspace | c.RemoveWorkspace
) -> list[Event] | Refusal:
    workspace = state.workspaces.get(command.workspace)
    if workspace is None:
        return _unknown("workspace", command.workspace)
    match command:
        case c.ChangeWorkspace():
            if command.description == workspace.description:
                return []
            return [WorkspaceChanged(workspace=workspace.name, description=command.description)]
        case c.RemoveWorkspace():
            if workspace.name == DEFAULT:
                return Refusal("conflict", f"The workspace {DEFAULT!r} is always there.")
            return [WorkspaceRemoved(workspace=workspace.name)]


def _set_member(state: State, command: c.SetMember) -> list[Event] | Refusal:
    workspace = state.workspaces.get(command.workspace)
    if workspace is None:
        return _unknown("workspace", command.workspace)
    if command.user not in state.users:
        return _unknown("user", command.user)
    if workspace.members.get(command.user) == command.role:
        return []
    return [WorkspaceMemberSet(workspace=workspace.name, user=command.user, role=command.role)]


def _in_projects(state: State, command: ProjectCommand) -> list[Event] | Refusal:
    workspace = state.workspaces.get(command.workspace)
    if workspace is None:
        return _unknown("workspace", command.workspace)
    found = projects.decide(workspace.projects, command)
    if isinstance(found, list):
        return found
    what, name = found
    if what == "default":
        detail = f"The project {name!r} is always there: it keeps its name, and is not archived."
        return Refusal("conflict", detail)
    return _taken(name) if what == "taken" else _unknown(what, name)


def _in_catalog(state: State, command: CatalogCommand) -> list[Event] | Refusal:
    if command.workspace not in state.workspaces:
        return _unknown("workspace", command.workspace)
    found = catalog.decide(state.catalog, command)
    if isinstance(found, list):
        return found
    what, name = found
    return _taken(name) if what == "taken" else _unknown(what, name)


def _taken(name: str) -> Refusal:
    return Refusal("conflict", f"The name {name!r} is taken.")


def _unknown(what: str, name: str) -> Refusal:
    return Refusal("unknown", f"There is no {what} {name!r}.")
