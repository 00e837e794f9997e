"""`/v1/login/oidc`: from the browser to the provider, back here, and to the program that waits.

The program gets a code that is worth a token to it alone, since it showed a challenge before.
"""

import hashlib
import json
import re
import secrets
import time
from typing import Annotated, Any, cast

from fastapi import APIRouter, Cookie, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.roles import Role
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.commands import AddUser
from shoal_gateway.core.ledger.decide import RESERVED
from shoal_gateway.shell.answers.access import NewToken
from shoal_gateway.shell.answers.base import refusals, told
from shoal_gateway.shell.oidc import Provider, challenge_of, refused
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.routes.login import logged_in
from shoal_gateway.shell.tokens import digest

router = APIRouter(prefix="/v1/login/oidc")

COOKIE = "shoal_login"
PATIENCE = 600
"""Seconds that a person may take at the provider."""
CODE_PATIENCE = 60
"""Seconds for which a code is worth a token."""


class Exchange(BaseModel):
    """The body of the last step."""

    model_config = ConfigDict(extra="forbid")

    code: str
    verifier: Annotated[str, Field(min_length=43, max_length=128)]


def provider(use: Annotated[Parts, Depends(parts)]) -> Provider:
    """The provider of the settings. Raises ProblemError (404) if there is none."""
    if use.provider is None:
        detail = "No login provider is set up here (SHOAL_OIDC_ISSUER). Log in with a password."
        raise ProblemError(404, detail, kind="urn:shoal:problem:provider")
    return use.provider


@router.get("", status_code=302, response_class=RedirectResponse, responses=refusals(404, 502))
async def begin(
    use: Annotated[Parts, Depends(parts)],
    at: Annotated[Provider, Depends(provider)],
    port: Annotated[int, Query(ge=1024, le=65535)],
    challenge: Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{43}$")],
) -> RedirectResponse:
    """Send a browser to the provider. It will come to `port` of its own machine in the end."""
    state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
    kept = {"nonce": nonce, "verifier": verifier, "port": port, "challenge": challenge}
    await use.store.redis.set(keys.login(state), json.dumps(kept), ex=PATIENCE)
    answer = RedirectResponse(await at.address(state, nonce, verifier), 302)
    answer.set_cookie(
        COOKIE,
        digest(state),
        max_age=PATIENCE,
        path="/v1/login",
        httponly=True,
        samesite="lax",
        secure=use.settings.public_url.startswith("https:"),
    )
    return answer


@router.get(
    "/callback",
    status_code=302,
    response_class=RedirectResponse,
    responses=refusals(401, 404, 409, 502),
)
async def back(
    use: Annotated[Parts, Depends(parts)],
    at: Annotated[Provider, Depends(provider)],
    state: str,
    code: str | None = None,
    error: str | None = None,
    shoal_login: Annotated[str | None, Cookie()] = None,
) -> RedirectResponse:
    """Take a browser back from the provider, and send it to the program that waits."""
    kept = await _take(use, keys.login(state))
    if kept is None or not secrets.compare_digest(shoal_login or "", digest(state)):
        raise refused("it was not begun with this browser, or took too long")
    if code is None:
        raise refused(f"the provider says {(error or 'nothing')[:100]!r}")
    claims = await at.claims(code, kept["nonce"], kept["verifier"])
    user = await _user(use, f"{at.issuer}#{claims['sub']}", claims)
    ticket = secrets.token_urlsafe(32)
    value = json.dumps({"user": user, "challenge": kept["challenge"]})
    await use.store.redis.set(keys.login(digest(ticket)), value, ex=CODE_PATIENCE)
    answer = RedirectResponse(f"http://127.0.0.1:{kept['port']}/?code={ticket}", 302)
    answer.delete_cookie(COOKIE, path="/v1/login")
    return answer


@router.post("/token", responses=told(NewToken, 200, 401, 404))
async def exchange(
    body: Exchange, request: Request, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """A token, for the code that the browser brought and what the challenge was made of."""
    kept = await _take(use, keys.login(digest(body.code)))
    if kept is None or kept.get("challenge") != challenge_of(body.verifier) or "user" not in kept:
        raise refused("the code is none of ours, or was used")
    return await logged_in(use, request, response, kept["user"])


async def _take(use: Parts, key: str) -> dict[str, Any] | None:
    text = await cast("Any", use.store.redis.getdel(key))
    return None if text is None else cast("dict[str, Any]", json.loads(text))


async def _user(use: Parts, subject: str, claims: dict[str, Any]) -> str:
    """The user whom the provider calls so; made at the first login. A name that is taken is not
    taken over."""
    found = use.ledger.state.by_subject(subject)
    if found is None:
        name = _name(claims)
        if name in use.ledger.state.users or name in RESERVED:
            name = f"{name}-{hashlib.sha256(subject.encode()).hexdigest()[:8]}"
        role = Role(use.settings.oidc_role) if use.settings.oidc_role else None
        await use.ledger.do(AddUser(name, None, role, time.time(), subject))
        return name
    if found.disabled:
        raise refused(f"{found.name} is locked out")
    return found.name


def _name(claims: dict[str, Any]) -> str:
    """A name from what the provider tells, of characters that ids may have."""
    for claim in ("preferred_username", "email", "sub"):
        text = str(claims.get(claim) or "").partition("@")[0]
        if name := re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:60]:
            return name
    return "someone"
