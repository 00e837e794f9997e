"""`/v1/workspaces/{workspace}/templates`: parts of configs that experiments begin with."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from shoal_contract.base import ID_PATTERN
from shoal_contract.config import ExperimentConfig
from shoal_contract.events.catalog import TemplateKept
from shoal_contract.parse import ConfigError, Problem
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.catalog import KeepTemplate, RemoveTemplate
from shoal_gateway.shell.answers.base import TAGGED, told
from shoal_gateway.shell.answers.catalog import TemplateRow, Templates
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import IfMatch, if_match, tagged
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown

router = APIRouter(prefix="/v1/workspaces/{workspace}/templates")

Name = Annotated[str, Path(pattern=ID_PATTERN)]


@router.get("", responses=told(Templates))
async def listed(
    workspace: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """The workspace's templates, by name."""
    every = use.ledger.state.catalog.templates.values()
    return paging.of((_row(t) for t in every if t.workspace == workspace), by("name"))


@router.get("/{name}", responses=told(TemplateRow, headers=TAGGED))
async def one(
    workspace: str, name: str, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One template."""
    return tagged(response, _row(template(use, workspace, name)))


@router.put("/{name}", responses=told(TemplateRow, headers=TAGGED))
async def put(
    workspace: str,
    name: Name,
    body: dict[str, Any],
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Keep the body, a part of a config, as a template."""
    strange = [field for field in body if field not in ExperimentConfig.model_fields]
    if strange:
        raise ConfigError([Problem(path=f, message="there is no such field") for f in strange])
    command = KeepTemplate(workspace, name, body, who.user, time.time())
    await use.ledger.do(command, when=condition.on(lambda: _there(use, workspace, name)))
    return tagged(response, _row(template(use, workspace, name)))


@router.delete("/{name}", status_code=204)
async def remove(
    workspace: str,
    name: str,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Forget a template. Experiments that began with it stay as they are."""
    met = condition.on(lambda: _there(use, workspace, name))
    await use.ledger.do(RemoveTemplate(workspace, name), when=met)


def _there(use: Parts, workspace: str, name: str) -> dict[str, Any] | None:
    found = use.ledger.state.catalog.templates.get((workspace, name))
    return None if found is None else _row(found)


def template(use: Parts, workspace: str, name: str) -> TemplateKept:
    """A template; else a problem."""
    found = use.ledger.state.catalog.templates.get((workspace, name))
    if found is None:
        raise unknown("template", name)
    return found


def _row(found: TemplateKept) -> dict[str, Any]:
    return found.model_dump(include={"name", "config", "by", "at"})
