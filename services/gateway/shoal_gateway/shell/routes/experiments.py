"""`/v1/experiments`: what is known of experiments."""

import base64
import binascii
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Query

from shoal_gateway.core import keys, rows
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown

router = APIRouter(prefix="/v1/experiments")


@router.get("")
async def experiments(
    use: Annotated[Parts, Depends(parts)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Experiments, newest first. `next` is the cursor of the next page, or null."""
    after = None if cursor is None else _decode(cursor)
    ids = await use.store.page(keys.EXPERIMENTS, limit + 1, after)
    if ids is None:
        raise _bad_cursor()
    page = await read(use, ids[:limit])
    following = _encode(ids[limit - 1]) if len(ids) > limit else None
    return {"items": page, "next": following}


@router.get("/{experiment_id}")
async def experiment(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """One experiment."""
    found = await read(use, [experiment_id])
    if not found:
        raise unknown("experiment", experiment_id)
    return found[0]


async def read(use: Parts, ids: list[str]) -> list[rows.Row]:
    """Experiments by id; those that are not there are left out."""
    if not ids:
        return []
    found = await use.store.rows([keys.experiment(i) for i in ids])
    states = await use.store.rows([keys.states(i) for i in ids])
    return [
        rows.experiment(row, cast("list[str]", list(state.values())))
        for row, state in zip(found, states, strict=True)
        if "config" in row
    ]


def _encode(member: str) -> str:
    return base64.urlsafe_b64encode(member.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise _bad_cursor() from error


def _bad_cursor() -> ProblemError:
    return ProblemError(422, "The cursor is none of ours. Begin again without one.")
