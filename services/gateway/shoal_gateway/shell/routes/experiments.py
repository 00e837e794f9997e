"""`/v1/experiments`: what is known of experiments."""

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from shoal_contract.roles import Role
from shoal_contract.states import ExperimentState
from shoal_gateway.core import keys, rows
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.ledger.projects import ids_called
from shoal_gateway.core.listing import (
    FIELDS,
    NEWEST,
    SORTS,
    Archived,
    Wanted,
    place,
    words_of,
)
from shoal_gateway.shell.answers.base import told, written
from shoal_gateway.shell.answers.experiments import Experiment, Experiments
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown, wrong

router = APIRouter(prefix="/v1/experiments")

FIRST, SCANNED = 64, 500
"""Experiments that are looked at together: at first, and while few are wanted."""


@router.get("", responses=told(Experiments))
async def experiments(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
    state: Annotated[list[ExperimentState] | None, Query()] = None,
    name: Annotated[str, Query(max_length=200)] = "",
    label: Annotated[list[str] | None, Query()] = None,
    owner: str | None = None,
    workspace: str | None = None,
    project: str | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    sort: Annotated[str, Query(pattern=f"^-?({'|'.join(SORTS)})$")] = NEWEST,
    archived: Archived = "false",
) -> Response:
    """Experiments that the caller may see, newest first. `next` is the next page's cursor, or
    null.

    `state` and `label` may be repeated: one of the states, all of the labels. `name` is a part of
    the name; `q` are words, each in the id, name, description, labels or notes. `sort` is
    `submitted`, `ended`, `name`, `state` or `owner`, with `-` from the greatest down.
    """
    wanted = Wanted(
        states=tuple(s.value for s in state or ()),
        labels=tuple(label or ()),
        name=name,
        owner=owner,
        workspace=workspace,
        projects=None if project is None else _projects(use, project),
        words=words_of(q),
        archived=archived,
    )
    after = None if cursor is None else _decode(cursor)
    found = _newest(use, who, wanted, after)
    if sort != NEWEST:
        found = _sorted(use, who, wanted, sort, after)
    ids = [i async for i in _first(found, limit + 1)]
    page = await read(use, ids[:limit])
    following = _encode(ids[limit - 1]) if len(ids) > limit else None
    return written({"items": page, "next": following})


@router.get("/{experiment_id}", responses=told(Experiment))
async def one(
    experiment_id: str, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One experiment. Its `ETag` is its `revision`, for `If-Match` in a PATCH."""
    found = await experiment(experiment_id, use)
    response.headers["ETag"] = f'"{found["revision"]}"'
    return found


async def experiment(experiment_id: str, use: Parts) -> rows.Row:
    """One experiment; else a problem."""
    found = await read(use, [experiment_id])
    if not found:
        raise unknown("experiment", experiment_id)
    return found[0]


async def _newest(use: Parts, who: Caller, wanted: Wanted, after: str | None) -> AsyncIterator[str]:
    """Ids of wanted experiments that the caller may see, newest first, after one of them."""
    size = FIRST
    while True:
        ids = await use.store.page(keys.EXPERIMENTS, size, after)
        if ids is None:
            raise _bad_cursor()
        for row in await use.store.columns([keys.experiment(i) for i in ids], FIELDS):
            if wanted.fits(row) and _sees(who, row):
                yield row["experiment_id"]
        if len(ids) < size:
            return
        after, size = ids[-1], SCANNED


async def _sorted(
    use: Parts, who: Caller, wanted: Wanted, sort: str, after: str | None
) -> AsyncIterator[str]:
    """The same in another order, for which all of them are looked at."""
    found: list[rows.Row] = []
    ids = await use.store.members(keys.EXPERIMENTS)
    for start in range(0, len(ids), SCANNED):
        names = [keys.experiment(i) for i in ids[start : start + SCANNED]]
        some = await use.store.columns(names, FIELDS)
        found += [row for row in some if "experiment_id" in row and wanted.fits(row)]
    found.sort(key=lambda row: place(row, sort), reverse=sort.startswith("-"))
    passed = after is None
    for row in found:
        if passed and _sees(who, row):
            yield row["experiment_id"]
        passed = passed or row["experiment_id"] == after
    if not passed:
        raise _bad_cursor()


def _sees(who: Caller, row: rows.Row) -> bool:
    name = row.get("experiment_id")
    return name is not None and who.may(Role.VIEWER, row.get("workspace", ""), name)


async def _first(source: AsyncIterator[str], most: int) -> AsyncIterator[str]:
    """The first so many."""
    left = most
    async for item in source:
        yield item
        left -= 1
        if left == 0:
            return


async def read(use: Parts, ids: list[str]) -> list[rows.Row]:
    """Experiments by id; those that are not there are left out."""
    if not ids:
        return []
    names = [*map(keys.experiment, ids), *map(keys.state_counts, ids)]
    found = await use.store.rows(names)
    there = zip(found[: len(ids)], found[len(ids) :], strict=True)
    return [_in_project(use, rows.experiment(row, its)) for row, its in there if "config" in row]


def _in_project(use: Parts, row: rows.Row) -> rows.Row:
    """An experiment with the name that its project has now."""
    workspace = use.ledger.state.workspaces.get(row["workspace"])
    found = None if workspace is None else workspace.projects.get(row["project_id"])
    return row | {"project": row["config"].get("project") if found is None else found.name}


def _projects(use: Parts, name: str) -> frozenset[str]:
    """The ids of projects that are called so, in any workspace."""
    return ids_called((w.projects for w in use.ledger.state.workspaces.values()), name)


def _encode(member: str) -> str:
    return base64.urlsafe_b64encode(member.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise _bad_cursor() from error


def _bad_cursor() -> ProblemError:
    return wrong("cursor", "The cursor is none of ours. Begin again without one.")
