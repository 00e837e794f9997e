"""`/v1/login`, `/v1/logout`, `/v1/me`: how a person gets a token, and what it allows."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.commands import RevokeToken, SetUp
from shoal_gateway.shell import passwords
from shoal_gateway.shell.answers.access import Me, NewToken
from shoal_gateway.shell.answers.base import refusals, told
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.tokens import digest, issue

router = APIRouter(prefix="/v1")

Password = Annotated[str, Field(min_length=10, max_length=1000)]


class Login(BaseModel):
    """The body of a login."""

    model_config = ConfigDict(extra="forbid")

    user: Id
    password: Annotated[str, Field(max_length=1000)]


class Setup(BaseModel):
    """The body of the first login of all."""

    model_config = ConfigDict(extra="forbid")

    token: str
    """As the gateway printed it when it started."""
    user: Id
    password: Password


@router.post("/login", responses=told(NewToken, 200, 401))
async def login(
    body: Login, request: Request, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """A token, for a name and a password. It counts for some hours (`expires_at`)."""
    user = use.ledger.state.users.get(body.user)
    right = await passwords.matches(user.password_hash if user else None, body.password)
    if user is None or not right or user.disabled:
        detail = "The name or the password is wrong."
        raise ProblemError(401, detail, kind="urn:shoal:problem:login")
    return await logged_in(use, request, response, user.name)


@router.post("/login/setup", status_code=201, responses=told(NewToken, 201, 403, 409))
async def setup(
    body: Setup, request: Request, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """Make the first administrator, with the token that the gateway printed; and log in."""
    hashed = await passwords.hashed(body.password)
    await use.ledger.do(SetUp(digest(body.token), body.user, hashed, time.time()))
    return await logged_in(use, request, response, body.user)


@router.post("/logout", status_code=204, responses=refusals(404))
async def logout(
    who: Annotated[Caller, Depends(caller)], use: Annotated[Parts, Depends(parts)]
) -> None:
    """End the token that this is asked with."""
    await use.ledger.do(RevokeToken(who.token_id))


@router.get("/me", responses=told(Me))
async def me(who: Annotated[Caller, Depends(caller)]) -> dict[str, Any]:
    """Who the token stands for, and what it allows."""
    return {
        "user": who.user,
        "token_id": who.token_id,
        "role": who.cluster,
        "workspaces": dict(who.workspaces),
        "experiment_id": who.experiment,
    }


async def logged_in(use: Parts, request: Request, response: Response, user: str) -> dict[str, Any]:
    """The answer to a login: a token that counts for some hours."""
    request.state.actor = user
    response.headers["Cache-Control"] = "no-store"
    return await issue(use.ledger, user, kind="login", seconds=use.settings.login_lifetime)
