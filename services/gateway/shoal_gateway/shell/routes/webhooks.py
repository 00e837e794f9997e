"""`/v1/workspaces/{workspace}/webhooks`: who is told what happens there."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.catalog import CreateWebhook, RemoveWebhook, Webhook
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.addresses import AddressError, checked
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.catalog import NewWebhookRow, Webhooks
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.routes.secrets import seal_of
from shoal_gateway.shell.webhooks import prepare

router = APIRouter(prefix="/v1/workspaces/{workspace}/webhooks")

Type = Annotated[str, Field(pattern=r"^(experiment|search|trial)\.[a-z_]{0,40}$")]


class NewWebhook(BaseModel):
    """The body of a new webhook."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(max_length=2000)]
    events: Annotated[list[Type], Field(min_length=1, max_length=50)]
    """Beginnings of the types that it is told, e.g. `search.` or `trial.failed`."""


@router.post("", status_code=201, responses=told(NewWebhookRow, 201))
async def create(
    workspace: str,
    body: NewWebhook,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """Have a receiver told what happens. The answer's `secret`, with which all is signed, is not
    shown again."""
    response.headers["Cache-Control"] = "no-store"

    async def make(draws: Draws) -> Row:
        return await _create(use, who, workspace, body, draws)

    return await new.once(body, make)


async def _create(use: Parts, who: Caller, workspace: str, body: NewWebhook, draws: Draws) -> Row:
    seal = seal_of(use)
    try:
        await checked(body.url, use.settings.networks)
    except (AddressError, OSError) as error:
        detail = f"The gateway does not connect there: {error}."
        raise ProblemError(422, detail, kind="urn:shoal:problem:address") from error
    webhook_id, secret = draws.id("webhook"), draws.secret("webhook")
    command = CreateWebhook(
        workspace=workspace,
        name=webhook_id,
        url=body.url,
        events=tuple(body.events),
        sealed=seal.close(workspace, webhook_id, secret),
        by=who.user,
        at=time.time(),
    )
    await prepare(use.bus, webhook_id)
    await use.ledger.do(command, draws.command)
    return _row(use.ledger.state.catalog.webhooks[webhook_id]) | {"secret": secret}


@router.get("", responses=told(Webhooks))
async def webhooks(
    workspace: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """The workspace's webhooks."""
    every = use.ledger.state.catalog.webhooks.values()
    its = (_row(hook) for hook in every if hook.workspace == workspace)
    return paging.of(its, by("at", "webhook_id"))


@router.delete("/{webhook_id}", status_code=204)
async def remove(workspace: str, webhook_id: str, use: Annotated[Parts, Depends(parts)]) -> None:
    """Tell a receiver no more."""
    await use.ledger.do(RemoveWebhook(workspace, webhook_id))


def _row(hook: Webhook) -> dict[str, Any]:
    return {
        "webhook_id": hook.webhook_id,
        "url": hook.url,
        "events": list(hook.events),
        "by": hook.by,
        "at": hook.at,
    }
