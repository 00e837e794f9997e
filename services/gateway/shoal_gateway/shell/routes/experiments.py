"""`/v1/experiments`: what is known of experiments."""

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
from shoal_gateway.core.paging import Place, cut
from shoal_gateway.shell.answers.base import TAGGED, told, written
from shoal_gateway.shell.answers.experiments import Experiment, Experiments
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import tagged
from shoal_gateway.shell.paging import Cursor, Paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown

router = APIRouter(prefix="/v1/experiments")

FIRST, SCANNED = 64, 500
"""Experiments that are looked at together: at first, and while few are wanted."""


@router.get("", responses=told(Experiments))
async def experiments(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor = None,
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
    paging = Paging(limit, cursor)
    if sort == NEWEST:
        found = await _newest(use, who, wanted, paging)
    else:
        found = await _sorted(use, who, wanted, paging, sort)
    return written(found | {"items": await read(use, found["items"])})


@router.get("/{experiment_id}", responses=told(Experiment, headers=TAGGED))
async def one(
    experiment_id: str, response: Response, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One experiment. Its `ETag` is its `revision`, for `If-Match` in a PATCH."""
    found = await experiment(experiment_id, use)
    return tagged(response, found, found["revision"])


async def experiment(experiment_id: str, use: Parts) -> rows.Row:
    """One experiment; else a problem."""
    found = await read(use, [experiment_id])
    if not found:
        raise unknown("experiment", experiment_id)
    return found[0]


async def _newest(use: Parts, who: Caller, wanted: Wanted, paging: Paging) -> rows.Row:
    """A page with the ids of wanted experiments that the caller may see, newest first."""
    found: list[tuple[Place, str]] = []
    after, size = paging.pair(str, NEWEST), FIRST
    while paging.limit is None or len(found) <= paging.limit:
        places = await use.store.page(keys.EXPERIMENTS, size, after, descending=True)
        some = await use.store.columns([keys.experiment(i) for _, i in places], FIELDS)
        found += [
            (place, place[1])
            for place, row in zip(places, some, strict=True)
            if wanted.fits(row) and _sees(who, row)
        ]
        if len(places) < size:
            break
        after, size = places[-1], SCANNED
    return paging.answer(cut(found, paging.limit), NEWEST)


async def _sorted(use: Parts, who: Caller, wanted: Wanted, paging: Paging, sort: str) -> rows.Row:
    """The same in another order, for which all of them are looked at."""
    found: list[rows.Row] = []
    ids = await use.store.members(keys.EXPERIMENTS)
    for start in range(0, len(ids), SCANNED):
        names = [keys.experiment(i) for i in ids[start : start + SCANNED]]
        some = await use.store.columns(names, FIELDS)
        found += [row for row in some if wanted.fits(row) and _sees(who, row)]
    descending, field = sort.startswith("-"), SORTS[sort.removeprefix("-")]
    page = paging.of(
        found,
        lambda row: place(row.get(field), row["experiment_id"], descending=descending),
        sort,
        descending=descending,
    )
    return page | {"items": [row["experiment_id"] for row in page["items"]]}


def _sees(who: Caller, row: rows.Row) -> bool:
    name = row.get("experiment_id")
    return name is not None and who.may(Role.VIEWER, row.get("workspace", ""), name)


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
