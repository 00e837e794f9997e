"""`/v1/workspaces/{workspace}/secrets`: kept sealed, given to trials, never shown again."""

import asyncio
import secrets as chance
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shoal_bus.history import read_all
from shoal_bus.sealing import Seal
from shoal_contract.config import SECRET_NAME
from shoal_contract.events import SecretKept
from shoal_contract.subjects import SECRETS, all_of
from shoal_gateway.shell.answers.access import Secrets
from shoal_gateway.shell.answers.base import refusals, told
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
    names = ({"name": event.name, "set_at": event.at} for event in found)
    return paging.of(names, by("name"))


@router.put("/{name}", status_code=204, responses=refusals(409))
async def put(
    workspace: str, name: Name, body: Value, use: Annotated[Parts, Depends(parts)]
) -> None:
    """Keep a secret. Trials that start from now on find it, as a variable of this name."""
    sealed = seal_of(use).close(workspace, name, body.value.get_secret_value())
    await _keep(use, SecretKept(workspace=workspace, name=name, sealed=sealed, at=time.time()))


@router.delete("/{name}", status_code=204)
async def remove(workspace: str, name: Name, use: Annotated[Parts, Depends(parts)]) -> None:
    """Forget a secret. Trials that run keep what they have."""
    if name not in [event.name for event in await kept(use, workspace)]:
        raise unknown("secret", name)
    await _keep(use, SecretKept(workspace=workspace, name=name, sealed=None, at=time.time()))


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


async def _keep(use: Parts, event: SecretKept) -> None:
    await use.publish(event, f"secret-{chance.token_hex(8)}")
