"""`/v1/workspaces/{workspace}/models`: checkpoints that are worth a name."""

import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_contract.events.catalog import ModelVersionAdded, Stage
from shoal_contract.roles import Role
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.catalog import (
    AddVersion,
    ChangeVersion,
    CreateModel,
    DescribeModel,
    Model,
    RemoveModel,
)
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.base import TAGGED, told
from shoal_gateway.shell.answers.catalog import ModelRow, Models, VersionRow, Versions
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import IfMatch, if_match, tagged
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.routes.checkpoints import change, checkpoint

router = APIRouter(prefix="/v1/workspaces/{workspace}/models")

Text = Annotated[str, Field(max_length=10_000)]


class NewModel(BaseModel):
    """The body of a new model."""

    model_config = ConfigDict(extra="forbid")

    name: Id
    description: Text = ""


class Description(BaseModel):
    """The body of a change of a model."""

    model_config = ConfigDict(extra="forbid")

    description: Text


class NewVersion(BaseModel):
    """The body of a new version."""

    model_config = ConfigDict(extra="forbid")

    checkpoint_id: str
    notes: Text = ""


class VersionChange(BaseModel):
    """The body of a change of a version. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    notes: Text | None = None
    stage: Stage | None = None


@router.post("", status_code=201, responses=told(ModelRow, 201))
async def create(
    workspace: str,
    body: NewModel,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """Have a model of this name."""

    async def make(draws: Draws) -> Row:
        command = CreateModel(workspace, body.name, body.description, who.user, time.time())
        await use.ledger.do(command, draws.command)
        return asdict(_model(use, workspace, body.name))

    return await new.once(body, make)


@router.get("", responses=told(Models))
async def models(
    workspace: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """The workspace's models, with their versions."""
    every = use.ledger.state.catalog.models.values()
    return paging.of((asdict(m) for m in every if m.workspace == workspace), by("at", "name"))


@router.get("/{model}", responses=told(ModelRow, headers=TAGGED))
async def model(
    workspace: str, model: str, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One model."""
    return tagged(response, asdict(_model(use, workspace, model)))


@router.patch("/{model}", responses=told(ModelRow, headers=TAGGED))
async def describe(
    workspace: str,
    model: str,
    body: Description,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Give a model another description."""
    met = condition.on(lambda: asdict(_model(use, workspace, model)))
    await use.ledger.do(DescribeModel(workspace, model, body.description), when=met)
    return tagged(response, asdict(_model(use, workspace, model)))


@router.delete("/{model}", status_code=204)
async def remove(
    workspace: str,
    model: str,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Forget a model and its versions. Their checkpoints stay, pinned."""
    met = condition.on(lambda: asdict(_model(use, workspace, model)))
    await use.ledger.do(RemoveModel(workspace, model), when=met)


@router.get("/{model}/versions", responses=told(Versions))
async def versions(
    workspace: str,
    model: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """The versions of a model, the first first."""
    return paging.of(map(asdict, _model(use, workspace, model).versions), by("version"))


@router.get("/{model}/versions/{version}", responses=told(VersionRow, headers=TAGGED))
async def one_version(
    workspace: str,
    model: str,
    version: int,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """One version of a model."""
    return tagged(response, _version(use, workspace, model, version))


@router.post("/{model}/versions", status_code=201, responses=told(VersionRow, 201))
async def add_version(
    workspace: str,
    model: str,
    body: NewVersion,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """Make a checkpoint the model's next version. It is pinned, so that it stays."""

    async def make(draws: Draws) -> Row:
        return await _add_version(use, who, (workspace, model), body, draws)

    return await new.once(body, make)


async def _add_version(
    use: Parts, who: Caller, of: tuple[str, str], body: NewVersion, draws: Draws
) -> Row:
    workspace, model = of
    _model(use, workspace, model)
    experiment_id = body.checkpoint_id.rsplit("-", 3)[0]
    if not await use.directory.may(who, Role.EDITOR, experiment_id):
        raise unknown("checkpoint", body.checkpoint_id)
    if await use.directory.workspace_of(experiment_id) != workspace:
        detail = f"The checkpoint {body.checkpoint_id} is not of the workspace {workspace}."
        raise ProblemError(409, detail, kind="urn:shoal:problem:workspace")
    found = await checkpoint(experiment_id, body.checkpoint_id, use)
    if found["state"] != "pinned":
        await change(experiment_id, body.checkpoint_id, "pin", use)
    command = AddVersion(
        workspace=workspace,
        name=model,
        experiment_id=experiment_id,
        checkpoint_id=body.checkpoint_id,
        url=found["url"],
        notes=body.notes,
        by=who.user,
        at=time.time(),
    )
    events = await use.ledger.do(command, draws.command)
    [added] = [e for e in events if isinstance(e, ModelVersionAdded)]
    return asdict(_model(use, workspace, model).versions[added.version - 1])


@router.patch("/{model}/versions/{version}", responses=told(VersionRow, headers=TAGGED))
async def change_version(
    workspace: str,
    model: str,
    version: int,
    body: VersionChange,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Give a version other notes, or another stage. What was in production before is archived."""
    command = ChangeVersion(workspace, model, version, body.notes, body.stage)
    met = condition.on(lambda: _version(use, workspace, model, version))
    await use.ledger.do(command, when=met)
    return tagged(response, _version(use, workspace, model, version))


def _model(use: Parts, workspace: str, name: str) -> Model:
    found = use.ledger.state.catalog.models.get((workspace, name))
    if found is None:
        raise unknown("model", name)
    return found


def _version(use: Parts, workspace: str, model: str, number: int) -> Row:
    versions = _model(use, workspace, model).versions
    if not 1 <= number <= len(versions):
        raise unknown("version", f"{model}/{number}")
    return asdict(versions[number - 1])
