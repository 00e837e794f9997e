"""`/v1/workspaces/{workspace}/secrets`: kept sealed, given to trials, never shown again."""

import asyncio
import secrets as chance
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shoal_bus.bus import ConflictError
from shoal_bus.history import read_all
from shoal_bus.sealing import Seal
from shoal_contract.config import SECRET_NAME
from shoal_contract.events import SecretKept
from shoal_contract.subjects import SECRETS, all_of, subject_of
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.access import SecretName, Secrets
from shoal_gateway.shell.answers.base import TAGGED, silent, told
from shoal_gateway.shell.conditions import ANY, IfMatch, if_match, tagged
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown

router = APIRouter(prefix="/v1/workspaces/{workspace}/secrets")

Name = Annotated[str, Path(pattern=SECRET_NAME)]


class Value(BaseModel):
    """The body of a secret."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: Annotated[SecretStr, Field(max_length=32_768)]


@router.get("", responses=told(Secrets))
async def listed(
    workspace: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """The names of the workspace's secrets."""
    found = await kept(use, workspace)
    return paging.of(map(_row, found), by("name"))


@router.get("/{name}", responses=told(SecretName, headers=TAGGED))
async def one(
    workspace: str, name: Name, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One secret, without its value."""
    found = await _newest(use, workspace, name)
    if found is None:
        raise unknown("secret", name)
    tag, event = found
    return tagged(response, _row(event), tag)


@router.put("/{name}", status_code=204, responses=silent(TAGGED, 409))
async def put(
    workspace: str,
    name: Name,
    body: Value,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Keep a secret. Trials that start from now on find it, as a variable of this name."""
    sealed = seal_of(use).close(workspace, name, body.value.get_secret_value())
    event = SecretKept(workspace=workspace, name=name, sealed=sealed, at=time.time())
    tagged(response, _row(event), await _keep(use, event, condition))


@router.delete("/{name}", status_code=204)
async def remove(
    workspace: str,
    name: Name,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Forget a secret. Trials that run keep what they have."""
    if await _newest(use, workspace, name) is None:
        raise unknown("secret", name)
    event = SecretKept(workspace=workspace, name=name, sealed=None, at=time.time())
    await _keep(use, event, condition)


async def forget_all(use: Parts, workspace: str) -> None:
    """Forget all secrets of a workspace."""
    for event in await kept(use, workspace):
        news = SecretKept(workspace=workspace, name=event.name, sealed=None, at=time.time())
        await _keep(use, news)


async def kept(use: Parts, workspace: str) -> list[SecretKept]:
    """The secrets that a workspace has, sealed."""
    async with asyncio.timeout(use.settings.read_timeout):
        found = await read_all(use.bus, SECRETS, [all_of("secret.kept", workspace)])
    events = [envelope.event for envelope in found]
    return [e for e in events if isinstance(e, SecretKept) and e.sealed is not None]


def seal_of(use: Parts) -> Seal:
    """What secrets are sealed with. Raises ProblemError (409) where no key was given."""
    if use.seal is None:
        detail = "This platform has no SHOAL_SECRET_KEY to keep secrets with."
        raise ProblemError(409, detail, kind="urn:shoal:problem:key")
    return use.seal


async def _newest(use: Parts, workspace: str, name: str) -> tuple[str, SecretKept] | None:
    """A secret that a workspace has, with its tag: its event's id."""
    found = await use.bus.newest(SECRETS, all_of("secret.kept", workspace, name))
    if found is None or not isinstance(found.event, SecretKept) or found.event.sealed is None:
        return None
    return found.id, found.event


async def _keep(use: Parts, event: SecretKept, condition: IfMatch = ANY) -> str:
    """Publish what becomes of a secret, if a condition holds of the one there is; returns its
    tag."""
    tag = f"secret-{chance.token_hex(8)}"
    while True:
        last = None
        if condition.given:
            last = await use.bus.last_of(SECRETS, subject_of(event))
            found = await _newest(use, event.workspace, event.name)
            condition.check(None if found is None else found[0])
        try:
            await use.publish(event, tag, last)
        except ConflictError:
            continue  # someone was faster: look again
        return tag


def _row(event: SecretKept) -> Row:
    return {"name": event.name, "set_at": event.at}
