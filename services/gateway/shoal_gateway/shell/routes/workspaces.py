"""`/v1/workspaces`: places for experiments, and who may see them."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_contract.roles import Role
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.commands import AddWorkspace, SetMember
from shoal_gateway.core.ledger.state import Workspace
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.access import WorkspaceMembers, WorkspaceRow, Workspaces
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts

router = APIRouter(prefix="/v1/workspaces")


class NewWorkspace(BaseModel):
    """The body of a new workspace."""

    model_config = ConfigDict(extra="forbid")

    workspace: Id
    description: Annotated[str, Field(max_length=1000)] = ""


class Membership(BaseModel):
    """The body of a membership."""

    model_config = ConfigDict(extra="forbid")

    role: Role


@router.post("", status_code=201, responses=told(WorkspaceRow, 201))
async def create(
    body: NewWorkspace,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """Make a workspace, whose administrator the caller is."""

    async def make(draws: Draws) -> Row:
        command = AddWorkspace(body.workspace, body.description, who.user, time.time())
        await use.ledger.do(command, draws.command)
        return _row(use.ledger.state.workspaces[body.workspace], who)

    return await new.once(body, make)


@router.get("", responses=told(Workspaces))
async def workspaces(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """The workspaces that the caller may see."""
    every = use.ledger.state.workspaces.values()
    seen = (_row(w, who) for w in every if who.may(Role.VIEWER, w.name))
    return paging.of(seen, by("created_at", "workspace"))


@router.get("/{workspace}", responses=told(WorkspaceMembers))
async def workspace(
    workspace: str,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """One workspace, with its members."""
    found = use.ledger.state.workspaces[workspace]
    quota = await use.store.row(keys.quota(workspace))
    return _row(found, who) | {"members": dict(found.members), "quota": quota or None}


@router.put("/{workspace}/members/{user}", status_code=204)
async def add_member(
    workspace: str, user: str, body: Membership, use: Annotated[Parts, Depends(parts)]
) -> None:
    """Give a user a role in a workspace."""
    await use.ledger.do(SetMember(workspace, user, body.role))


@router.delete("/{workspace}/members/{user}", status_code=204)
async def remove_member(workspace: str, user: str, use: Annotated[Parts, Depends(parts)]) -> None:
    """Take a user's role in a workspace away. A role in the whole cluster stays."""
    await use.ledger.do(SetMember(workspace, user, None))


def _row(workspace: Workspace, who: Caller) -> dict[str, Any]:
    return {
        "workspace": workspace.name,
        "description": workspace.description,
        "created_at": workspace.created_at,
        "role": who.role_in(workspace.name),
    }
