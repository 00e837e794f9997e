"""`/v1/users`: those who may log in."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from shoal_contract.base import Id
from shoal_contract.roles import Role
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.commands import (
    AddUser,
    Command,
    RemoveUser,
    SetEnabled,
    SetPassword,
    SetRole,
)
from shoal_gateway.core.ledger.state import User
from shoal_gateway.core.rows import Row
from shoal_gateway.shell import passwords
from shoal_gateway.shell.answers.access import UserRow, Users
from shoal_gateway.shell.answers.base import TAGGED, refusals, silent, told
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import IfMatch, if_match, tag_of, tagged
from shoal_gateway.shell.creations import Creation, creation
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.routes.login import Password
from shoal_gateway.shell.rules import denied

router = APIRouter(prefix="/v1/users")


class NewUser(BaseModel):
    """The body of a new user."""

    model_config = ConfigDict(extra="forbid")

    user: Id
    password: Password
    role: Role | None = None
    """In the whole cluster; null: only in workspaces that the user becomes a member of."""


class UserChange(BaseModel):
    """The body of a change. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    enabled: bool | None = None


class NewPassword(BaseModel):
    """The body of a change of the password."""

    model_config = ConfigDict(extra="forbid")

    password: Password
    old: str | None = None
    """The one before; an administrator may set another's without it."""


@router.post("", status_code=201, responses=told(UserRow, 201))
async def create(
    body: NewUser,
    use: Annotated[Parts, Depends(parts)],
    new: Annotated[Creation, Depends(creation)],
) -> dict[str, Any]:
    """Let someone log in."""

    async def make(draws: Draws) -> Row:
        hashed = await passwords.hashed(body.password)
        await use.ledger.do(AddUser(body.user, hashed, body.role, time.time()), draws.command)
        return _row(_user(use, body.user))

    return await new.once(body, make)


@router.get("", responses=told(Users))
async def users(
    use: Annotated[Parts, Depends(parts)], paging: Annotated[Paging, Depends(paging)]
) -> dict[str, Any]:
    """All users, in the order in which they came."""
    return paging.of(map(_row, use.ledger.state.users.values()), by("created_at", "user"))


@router.get("/{user}", responses=told(UserRow, headers=TAGGED))
async def user(
    user: str, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One user."""
    return _tagged(response, _user(use, user))


@router.patch("/{user}", responses=told(UserRow, 200, 409, headers=TAGGED))
async def change(
    user: str,
    body: UserChange,
    response: Response,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Change what a user may do in the whole cluster (`role`: null for nothing), or lock the user
    out (`enabled`: false)."""
    commands: list[Command] = []
    if "role" in body.model_fields_set:
        commands.append(SetRole(user, body.role))
    if body.enabled is not None:
        commands.append(SetEnabled(user, body.enabled))
    met = condition.on(lambda: _state(_user(use, user)))
    met()
    for command in commands:
        await use.ledger.do(command, when=met if command is commands[0] else None)
    return _tagged(response, _user(use, user))


@router.put("/{user}/password", status_code=204, responses=silent(TAGGED))
async def set_password(
    user: str,
    body: NewPassword,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Set a password. Whoever had logged in as this user must do so again. `If-Match` takes the
    user's `ETag`, which changes with the password."""
    if user != who.user and not who.rules(Role.ADMIN):
        raise denied("an administrator of the cluster")
    found = _user(use, user)
    may_without = who.rules(Role.ADMIN) and (user != who.user or found.password_hash is None)
    if not may_without and not await passwords.matches(found.password_hash, body.old or ""):
        raise ProblemError(403, "The old password is wrong.", kind="urn:shoal:problem:denied")
    met = condition.on(lambda: _state(_user(use, user)))
    met()
    command = SetPassword(user, await passwords.hashed(body.password))
    await use.ledger.do(command, when=met)
    _tagged(response, _user(use, user))


@router.delete("/{user}", status_code=204, responses=refusals(409))
async def remove(
    user: str,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> None:
    """Forget a user, with all tokens and memberships. Experiments stay."""
    await use.ledger.do(RemoveUser(user), when=condition.on(lambda: _state(_user(use, user))))


def _user(use: Parts, name: str) -> User:
    found = use.ledger.state.users.get(name)
    if found is None:
        raise unknown("user", name)
    return found


def _state(user: User) -> Row:
    """What a user's tag is made of."""
    return _row(user) | {"password_hash": user.password_hash}


def _tagged(response: Response, user: User) -> Row:
    return tagged(response, _row(user), tag_of(_state(user)))


def _row(user: User) -> dict[str, Any]:
    return {
        "user": user.name,
        "role": user.role,
        "enabled": not user.disabled,
        "has_password": user.password_hash is not None,
        "subject": user.subject,
        "created_at": user.created_at,
    }
