"""`/v1/workspaces`: places for experiments, and who may see them."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_contract.roles import Role
from shoal_contract.subjects import EXPERIMENTS, TRACKING
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.commands import (
    AddWorkspace,
    ChangeWorkspace,
    RemoveWorkspace,
    SetMember,
)
from shoal_gateway.core.ledger.state import DEFAULT, Workspace
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.access import Member, WorkspaceMembers, WorkspaceRow, Workspaces
from shoal_gateway.shell.answers.base import TAGGED, refusals, silent, told
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import IfMatch, if_match, tag_of, tagged
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.routes.secrets import forget_all

router = APIRouter(prefix="/v1/workspaces")

Text = Annotated[str, Field(max_length=1000)]
TOGETHER = 500
"""Experiments that are looked at together."""


class NewWorkspace(BaseModel):
    """The body of a new workspace."""

    model_config = ConfigDict(extra="forbid")

    workspace: Id
    description: Text = ""


class WorkspaceChange(BaseModel):
    """The body of a change."""

    model_config = ConfigDict(extra="forbid")

    description: Text


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


@router.get("/{workspace}", responses=told(WorkspaceMembers, headers=TAGGED))
async def workspace(
    workspace: str,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """One workspace, with its members."""
    found = use.ledger.state.workspaces[workspace]
    quota = await use.store.row(keys.quota(workspace))
    row = _row(found, who) | {"members": dict(found.members), "quota": quota or None}
    return tagged(response, row, tag_of(_state(use, workspace)))


@router.patch("/{workspace}", responses=told(WorkspaceRow, headers=TAGGED))
async def change(
    workspace: str,
    body: WorkspaceChange,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Describe a workspace differently."""
    met = condition.on(lambda: _state(use, workspace))
    await use.ledger.do(ChangeWorkspace(workspace, body.description), when=met)
    row = _row(use.ledger.state.workspaces[workspace], who)
    return tagged(response, row, tag_of(_state(use, workspace)))


@router.delete("/{workspace}", status_code=204, responses=refusals(409))
async def remove(
    workspace: str,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Remove a workspace that holds no experiments, with all that it keeps: members, projects,
    templates, models, webhooks, secrets, and tokens that count there alone. Its name is not given
    again."""
    condition.on(lambda: _state(use, workspace))()
    if held := await _experiments_in(use, workspace):
        detail = f"The workspace {workspace} holds experiments: delete {', '.join(held[:3])} first."
        raise ProblemError(409, detail, kind="urn:shoal:problem:occupied")
    if workspace != DEFAULT:
        await forget_all(use, workspace)
    met = condition.on(lambda: _state(use, workspace))
    await use.ledger.do(RemoveWorkspace(workspace), when=met)


@router.get("/{workspace}/members/{user}", responses=told(Member, headers=TAGGED))
async def member(
    workspace: str, user: str, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One member of a workspace."""
    found = _member(use, workspace, user)
    if found is None:
        raise unknown("member", user)
    return tagged(response, found)


@router.put("/{workspace}/members/{user}", status_code=204, responses=silent(TAGGED))
async def add_member(
    workspace: str,
    user: str,
    body: Membership,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Give a user a role in a workspace."""
    met = condition.on(lambda: _member(use, workspace, user))
    await use.ledger.do(SetMember(workspace, user, body.role), when=met)
    tagged(response, {"user": user, "role": body.role})


@router.delete("/{workspace}/members/{user}", status_code=204)
async def remove_member(
    workspace: str,
    user: str,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Take a user's role in a workspace away. A role in the whole cluster stays."""
    met = condition.on(lambda: _member(use, workspace, user))
    await use.ledger.do(SetMember(workspace, user, None), when=met)


async def _experiments_in(use: Parts, workspace: str) -> list[str]:
    """The experiments of a workspace, archived ones and those of MLflow's kind as well."""
    for stream in (EXPERIMENTS, TRACKING):
        _, last = await use.bus.extent(stream)
        await use.projector.wait_for(stream, last, use.settings.apply_timeout)
    found: list[str] = []
    for index, row in ((keys.EXPERIMENTS, keys.experiment), (keys.TRACKED, keys.tracked)):
        ids = await use.store.members(index)
        for start in range(0, len(ids), TOGETHER):
            some = ids[start : start + TOGETHER]
            columns = await use.store.columns([row(i) for i in some], ["workspace"])
            its = zip(some, columns, strict=True)
            found += [name for name, column in its if column.get("workspace") == workspace]
    return found


def _state(use: Parts, workspace: str) -> Row:
    """What a workspace's tag is made of: what people may change of it."""
    found = use.ledger.state.workspaces.get(workspace)
    if found is None:
        raise unknown("workspace", workspace)
    return {"description": found.description, "members": dict(found.members)}


def _member(use: Parts, workspace: str, user: str) -> Row | None:
    found = use.ledger.state.workspaces.get(workspace)
    role = None if found is None else found.members.get(user)
    return None if role is None else {"user": user, "role": role}


def _row(workspace: Workspace, who: Caller) -> dict[str, Any]:
    return {
        "workspace": workspace.name,
        "description": workspace.description,
        "created_at": workspace.created_at,
        "role": who.role_in(workspace.name),
    }
