"""`/v1/tokens`: tokens for programs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_contract.roles import Role
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.commands import RevokeToken
from shoal_gateway.core.ledger.state import Token
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.access import NewToken, TokenRow, Tokens
from shoal_gateway.shell.answers.base import TAGGED, told
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import tagged
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.rules import denied, workspace_rule
from shoal_gateway.shell.tokens import DAY, issue

router = APIRouter(prefix="/v1/tokens")

_SCOPES = {"read": Role.VIEWER, "write": Role.EDITOR, "admin": Role.ADMIN}


class Wish(BaseModel):
    """The body of a request for a token."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What it is for."""
    scope: Annotated[str, Field(pattern="^(read|write|admin)$")] = "write"
    """The most that it lets its user do."""
    workspace: Id | None = None
    """The only one in which it counts; null: all of the user's."""
    days: Annotated[float, Field(gt=0, le=366)] = 90


@router.post("", status_code=201, responses=told(NewToken, 201, 404))
async def create(
    body: Wish,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """A new token of the caller's. It is shown this once. It allows no more than the caller's own
    roles, then as now."""
    if body.workspace is not None:
        workspace_rule(use, who, body.workspace, "GET")
    _check_within(use, who, _SCOPES[body.scope], body.workspace)
    response.headers["Cache-Control"] = "no-store"

    async def make(draws: Draws) -> Row:
        return await issue(
            use.ledger,
            who.user,
            kind="api",
            seconds=body.days * DAY,
            name=body.name,
            scope=_SCOPES[body.scope],
            workspace=body.workspace,
            draws=draws,
        )

    return await new.once(body, make)


@router.get("", responses=told(Tokens))
async def tokens(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """The caller's tokens, without what they are shown as; administrators see everybody's."""
    every = use.ledger.state.tokens.values()
    seen = (_row(t) for t in every if t.user == who.user or who.rules(Role.ADMIN))
    return paging.of(seen, by("created_at", "token_id"))


@router.get("/{token_id}", responses=told(TokenRow, headers=TAGGED))
async def token(
    token_id: str,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """One token, without what it is shown as."""
    return tagged(response, _row(_token(use, who, token_id)))


@router.delete("/{token_id}", status_code=204)
async def revoke(
    token_id: str,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
) -> None:
    """End a token, at once."""
    found = _token(use, who, token_id)
    if token_id != who.token_id:
        _check_within(use, who, found.scope, found.workspace)
    await use.ledger.do(RevokeToken(token_id))


def _token(use: Parts, who: Caller, token_id: str) -> Token:
    """A token of which the caller may know; else a problem."""
    found = use.ledger.state.token(token_id)
    if found is None or not (found.user == who.user or who.rules(Role.ADMIN)):
        raise unknown("token", token_id)
    return found


def _check_within(use: Parts, who: Caller, scope: Role, workspace: str | None) -> None:
    """A token makes and ends no token that allows more than itself."""
    own = use.ledger.state.token(who.token_id)
    if own is None:
        raise denied("a user")
    if not own.scope.covers(scope) or own.workspace not in (None, workspace):
        detail = "The token that this is asked with allows less than the other one."
        raise ProblemError(403, detail, kind="urn:shoal:problem:denied")


def _row(token: Token) -> dict[str, Any]:
    scope = next(name for name, role in _SCOPES.items() if role is token.scope)
    return {
        "token_id": token.token_id,
        "user": token.user,
        "kind": token.kind,
        "name": token.name,
        "scope": scope,
        "workspace": token.workspace,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    }
