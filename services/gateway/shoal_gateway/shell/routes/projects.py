"""`/v1/workspaces/{workspace}/projects`: experiments of a workspace that belong together."""

import time
from dataclasses import asdict
from difflib import get_close_matches
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_contract.parse import ConfigError, Problem
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.projects import AddProject, ChangeProject, Project, Projects, named
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.access import ProjectRow, ProjectRows
from shoal_gateway.shell.answers.base import TAGGED, told
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import IfMatch, if_match, tagged
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown

router = APIRouter(prefix="/v1/workspaces/{workspace}/projects")

Text = Annotated[str, Field(max_length=10_000)]


class NewProject(BaseModel):
    """The body of a new project."""

    model_config = ConfigDict(extra="forbid")

    name: Id
    description: Text = ""


class ProjectChange(BaseModel):
    """The body of a change. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Id | None = None
    """Another name; experiments stay where they are."""
    description: Text | None = None
    archived: bool | None = None
    """True: it takes no more experiments. Those that it has stay."""


@router.get("", responses=told(ProjectRows))
async def listed(
    workspace: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
    archived: bool = False,
) -> dict[str, Any]:
    """The workspace's projects, without archived ones unless they are asked for."""
    every = _projects(use, workspace).values()
    chosen = (_row(workspace, p) for p in every if archived or not p.archived)
    return paging.of(chosen, by("at", "project_id"))


@router.get("/{project}", responses=told(ProjectRow, headers=TAGGED))
async def one(
    workspace: str, project: str, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One project."""
    return tagged(response, _row(workspace, _project(use, workspace, project)))


@router.post("", status_code=201, responses=told(ProjectRow, 201))
async def create(
    workspace: str,
    body: NewProject,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """Have a project of this name."""

    async def make(draws: Draws) -> Row:
        project_id = draws.id("project")
        command = AddProject(
            workspace, project_id, body.name, body.description, who.user, time.time()
        )
        await use.ledger.do(command, draws.command)
        return _row(workspace, _projects(use, workspace)[project_id])

    return await new.once(body, make)


@router.patch("/{project}", responses=told(ProjectRow, 200, 409, headers=TAGGED))
async def change(
    workspace: str,
    project: str,
    body: ProjectChange,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Call or describe a project differently, archive it, or bring it back."""
    command = ChangeProject(workspace, project, body.name, body.description, body.archived)
    met = condition.on(lambda: _row(workspace, _project(use, workspace, project)))
    await use.ledger.do(command, when=met)
    return tagged(response, _row(workspace, _project(use, workspace, body.name or project)))


def open_project(use: Parts, workspace: str, name: str) -> Project:
    """The project of a workspace that is called so and takes experiments. Raises ConfigError."""
    projects = _projects(use, workspace)
    found = named(projects, name)
    if found is not None and not found.archived:
        return found
    message = f"the project {name!r} is archived"
    suggestion = None
    if found is None:
        message = f"the workspace {workspace} has no project {name!r}"
        names = [p.name for p in projects.values() if not p.archived]
        suggestion = next(iter(get_close_matches(name, names, n=1)), None)
    raise ConfigError([Problem(path="project", message=message, suggestion=suggestion)])


def _projects(use: Parts, workspace: str) -> Projects:
    found = use.ledger.state.workspaces.get(workspace)
    if found is None:  # it was removed just now
        raise unknown("workspace", workspace)
    return found.projects


def _project(use: Parts, workspace: str, name: str) -> Project:
    found = named(_projects(use, workspace), name)
    if found is None:
        raise unknown("project", name)
    return found


def _row(workspace: str, project: Project) -> dict[str, Any]:
    return {"workspace": workspace, **asdict(project)}
