"""The only way in which the ledger's state changes."""

from collections.abc import Callable

from shoal_contract.events.access import (
    ProjectChanged,
    ProjectCreated,
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
from shoal_gateway.core.ledger import catalog, projects
from shoal_gateway.core.ledger.state import State, Token, User, Workspace


def evolve(state: State, event: Event) -> State:
    """The state after an event, changed in place."""
    match event:
        case SetupOpened():
            state.setup[event.sha256] = None
        case UserCreated():
            state.setup.clear()
            state.users[event.user] = User(
                event.user, event.password_hash, event.subject, event.role, event.at
            )
        case UserPasswordSet():
            state.users[event.user].password_hash = event.password_hash
            _drop(state, lambda t: t.user == event.user and t.kind == "login")
        case UserRoleSet():
            state.users[event.user].role = event.role
        case UserEnabled() | UserDisabled():
            state.users[event.user].disabled = isinstance(event, UserDisabled)
        case UserRemoved():
            del state.users[event.user]
            _drop(state, lambda t: t.user == event.user)
            for workspace in state.workspaces.values():
                workspace.members.pop(event.user, None)
        case TokenIssued():
            _issue(state, event)
        case TokenRevoked():
            _drop(state, lambda t: t.token_id == event.token_id)
        case WorkspaceCreated():
            state.workspaces[event.workspace] = Workspace(
                event.workspace, event.description, event.at
            )
        case WorkspaceChanged():
            state.workspaces[event.workspace].description = event.description
        case WorkspaceRemoved():
            del state.workspaces[event.workspace]
            state.removed.add(event.workspace)
            _drop(state, lambda t: t.workspace == event.workspace)
            state.catalog.leave(event.workspace)
        case WorkspaceMemberSet():
            _set_member(state.workspaces[event.workspace], event)
        case ProjectCreated() | ProjectChanged():
            projects.evolve(state.workspaces[event.workspace].projects, event)
        case _:
            catalog.evolve(state.catalog, event)
    return state


def _issue(state: State, event: TokenIssued) -> None:
    _drop(state, lambda t: t.expires_at <= event.at)
    state.tokens[event.sha256] = Token(
        event.token_id,
        event.user,
        event.kind,
        event.name,
        event.scope,
        event.workspace,
        event.at,
        event.expires_at,
    )


def _set_member(workspace: Workspace, event: WorkspaceMemberSet) -> None:
    if event.role is None:
        workspace.members.pop(event.user, None)
    else:
        workspace.members[event.user] = event.role


def _drop(state: State, wanted: Callable[[Token], bool]) -> None:
    for sha256 in [key for key, token in state.tokens.items() if wanted(token)]:
        del state.tokens[sha256]
