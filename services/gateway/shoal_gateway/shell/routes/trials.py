"""What is known of the trials of an experiment: rows, stories, reports."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from shoal_bus.history import read_all
from shoal_contract.events import AllocationWaiting
from shoal_contract.states import TrialState
from shoal_contract.subjects import SCHEDULE, SEARCH
from shoal_gateway.core import keys, rows
from shoal_gateway.core.listing import TRIAL_SORTS, place, trial_value
from shoal_gateway.core.paging import Place, cut
from shoal_gateway.core.runs import runs as runs_of
from shoal_gateway.core.search import search
from shoal_gateway.core.standing import standing
from shoal_gateway.core.story import answers_of, decisions_of, tell
from shoal_gateway.shell.answers.base import told, written
from shoal_gateway.shell.answers.experiments import Search
from shoal_gateway.shell.answers.trials import Explanation, Runs, Trial, Trials
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown

router = APIRouter(prefix="/v1/experiments/{experiment_id}")

TOGETHER = 200
"""Trials whose items are read at once."""
Read = Callable[[list[str]], Awaitable[list[list[rows.Row]]]]


@router.get("/trials", responses=told(Trials))
async def trials(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
    state: Annotated[list[TrialState] | None, Query()] = None,
    sort: Annotated[str, Query(pattern=f"^-?({'|'.join(TRIAL_SORTS)})$")] = "number",
) -> Response:
    """Trials, in the order of their proposal.

    `state` may be repeated: one of them. `sort` is `number`, `metric` (at the newest validation) or
    `best`, with `-` from the greatest down; trials without a result come last.
    """
    smaller = await _smaller(use, experiment_id)
    if state is None and sort == "number":
        page = await paging.members(use.store, keys.trials(experiment_id), sort)
        items = [rows.trial(row, smaller) for row in await _rows(use, page["items"])]
        return written(page | {"items": items})
    wanted = {one.value for one in state or ()}
    every = (rows.trial(row, smaller) for row in await _all(use, experiment_id))
    descending = sort.startswith("-")
    page = paging.of(
        (trial for trial in every if not wanted or trial["state"] in wanted),
        by("number", "trial_id")
        if sort == "number"
        else lambda t: place(trial_value(t, sort), t["trial_id"], descending=descending),
        sort,
        descending=descending,
    )
    return written(page)


@router.get("/trials/{trial_id}", responses=told(Trial))
async def trial(
    experiment_id: str, trial_id: str, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """One trial."""
    smaller = await _smaller(use, experiment_id)
    row = await use.store.row(keys.trial(trial_id))
    if row.get("experiment_id") != experiment_id:
        raise unknown("trial", trial_id)
    return rows.trial(row, smaller)


@router.get("/runs", responses=told(Runs))
async def runs(
    experiment_id: str,
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
    trial: str | None = None,
) -> Response:
    """Runs, trial by trial, oldest first: each attempt, what it got and what ended it."""

    async def read(ids: list[str]) -> list[list[rows.Row]]:
        found = await use.store.rows([keys.runs(i) for i in ids])
        return [runs_of(i, its) for i, its in zip(ids, found, strict=True)]

    return written(await trial_by_trial(paging, await numbered(use, experiment_id, trial), read))


@router.get("/searcher", responses=told(Search))
async def searcher(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """How the search stands: its brackets, and how many trials reached each of their rungs."""
    row = await _experiment(use, experiment_id)
    return search(row, await _all(use, experiment_id))


@router.get("/trials/{trial_id}/explain", responses=told(Explanation))
async def explain(
    experiment_id: str, trial_id: str, use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """What happened to a trial, from its own events, and `now`: a sentence on where it stands and
    why. The sentence compares it with the results that reads show now."""
    await trial(experiment_id, trial_id, use)
    async with asyncio.timeout(use.settings.read_timeout):
        decisions = await read_all(use.bus, SEARCH, decisions_of(experiment_id, trial_id))
        answers = await read_all(use.bus, SCHEDULE, answers_of(experiment_id, trial_id, decisions))
    row = await use.store.row(keys.experiment(experiment_id))
    story = list(heapq.merge(decisions, answers, key=lambda envelope: envelope.time))
    searcher = row["config"]["searcher"]
    return {
        "trial_id": trial_id,
        "now": standing(trial_id, story, row, await _all(use, experiment_id), await _starting(use)),
        "events": [
            {"at": e.time, "event": e.event.type, "text": tell(e.event, searcher)}
            for e in story
            if not (isinstance(e.event, AllocationWaiting) and e.event.again)
        ],
    }


async def _starting(use: Parts) -> list[str]:
    """The pool of each machine that was asked for and has not joined."""
    machines = await use.store.row(keys.MACHINES)
    found = await use.store.rows([keys.instance(i) for i in machines])
    return [row["pool"] for row in found if row.get("state") in ("requested", "started")]


async def trial_by_trial(
    paging: Paging,
    trials: list[tuple[float, str]],
    read: Read,
    wanted: Callable[[rows.Row], bool] = lambda _: True,
) -> rows.Row:
    """The page of a list with the items of each trial, which stay in their order. `read` gets those
    of several trials; no more trials are looked at than a page needs."""
    after = paging.pair(int)
    begin = next(
        (n for n, t in enumerate(trials) if after is None or t[0] >= after[0]), len(trials)
    )
    found: list[tuple[Place, rows.Row]] = []
    while begin < len(trials) and (paging.limit is None or len(found) <= paging.limit):
        some = trials[begin : begin + TOGETHER]
        begin += len(some)
        for (number, _), items in zip(some, await read([name for _, name in some]), strict=True):
            placed = [((number, place), item) for place, item in enumerate(items)]
            found += [
                (at, item) for at, item in placed if (after is None or at > after) and wanted(item)
            ]
    return paging.answer(cut(found, paging.limit))


async def numbered(use: Parts, experiment_id: str, trial_id: str | None) -> list[tuple[float, str]]:
    """The trials of an experiment with their numbers, or the one that is named; else a problem."""
    await _smaller(use, experiment_id)
    found = await use.store.scores(keys.trials(experiment_id))
    if trial_id is None:
        return found
    if not (chosen := [pair for pair in found if pair[1] == trial_id]):
        raise unknown("trial", trial_id)
    return chosen


async def ids_of(use: Parts, experiment_id: str, trial_id: str | None) -> list[str]:
    """The same, without their numbers."""
    return [name for _, name in await numbered(use, experiment_id, trial_id)]


async def _all(use: Parts, experiment_id: str) -> list[rows.Row]:
    return await _rows(use, await use.store.members(keys.trials(experiment_id)))


async def _rows(use: Parts, ids: list[str]) -> list[rows.Row]:
    found = await use.store.rows([keys.trial(i) for i in ids])
    return [row for row in found if "number" in row]


async def _smaller(use: Parts, experiment_id: str) -> bool:
    return rows.smaller_is_better(await _experiment(use, experiment_id))


async def _experiment(use: Parts, experiment_id: str) -> rows.Row:
    row = await use.store.row(keys.experiment(experiment_id))
    if "config" not in row:
        raise unknown("experiment", experiment_id)
    return row
