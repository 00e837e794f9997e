"""`/v1/workspaces/{workspace}/webhooks`: who is told what happens there."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.catalog import ChangeWebhook, CreateWebhook, RemoveWebhook, Webhook
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.addresses import AddressError, checked
from shoal_gateway.shell.answers.base import TAGGED, told
from shoal_gateway.shell.answers.catalog import NewWebhookRow, WebhookRow, Webhooks
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import IfMatch, if_match, tagged
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.routes.secrets import seal_of
from shoal_gateway.shell.webhooks import prepare

router = APIRouter(prefix="/v1/workspaces/{workspace}/webhooks")

Type = Annotated[str, Field(pattern=r"^(experiment|search|trial)\.[a-z_]{0,40}$")]


Url = Annotated[str, Field(max_length=2000)]
Types = Annotated[list[Type], Field(min_length=1, max_length=50)]


class NewWebhook(BaseModel):
    """The body of a new webhook."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    events: Types
    """Beginnings of the types that it is told, e.g. `search.` or `trial.failed`."""


class WebhookChange(BaseModel):
    """The body of a change. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    events: Types | None = None


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
    await _check_address(use, body.url)
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


@router.get("/{webhook_id}", responses=told(WebhookRow, headers=TAGGED))
async def webhook(
    workspace: str, webhook_id: str, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One webhook."""
    return tagged(response, _webhook(use, workspace, webhook_id))


@router.patch("/{webhook_id}", responses=told(WebhookRow, headers=TAGGED))
async def change(
    workspace: str,
    webhook_id: str,
    body: WebhookChange,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Tell a receiver elsewhere, or something else. What it is told is signed as before."""
    if body.url is not None:
        await _check_address(use, body.url)
    events = None if body.events is None else tuple(body.events)
    met = condition.on(lambda: _webhook(use, workspace, webhook_id))
    await use.ledger.do(ChangeWebhook(workspace, webhook_id, body.url, events), when=met)
    return tagged(response, _webhook(use, workspace, webhook_id))


@router.delete("/{webhook_id}", status_code=204)
async def remove(
    workspace: str,
    webhook_id: str,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Tell a receiver no more."""
    met = condition.on(lambda: _webhook(use, workspace, webhook_id))
    await use.ledger.do(RemoveWebhook(workspace, webhook_id), when=met)


def _webhook(use: Parts, workspace: str, webhook_id: str) -> Row:
    found = use.ledger.state.catalog.webhooks.get(webhook_id)
    if found is None or found.workspace != workspace:
        raise unknown("webhook", webhook_id)
    return _row(found)


async def _check_address(use: Parts, url: str) -> None:
    """Raise ProblemError if the gateway does not connect there."""
    try:
        await checked(url, use.settings.networks)
    except (AddressError, OSError) as error:
        detail = f"The gateway does not connect there: {error}."
        raise ProblemError(422, detail, kind="urn:shoal:problem:address") from error


def _row(hook: Webhook) -> dict[str, Any]:
    return {
        "webhook_id": hook.webhook_id,
        "url": hook.url,
        "events": list(hook.events),
        "by": hook.by,
        "at": hook.at,
    }
