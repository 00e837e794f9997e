"""What is known of the trials of an experiment: rows, stories, reports."""

import asyncio
import heapq
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from shoal_bus.history import read_all
from shoal_contract.events import AllocationWaiting
from shoal_contract.subjects import SCHEDULE, SEARCH
from shoal_gateway.core import keys, rows
from shoal_gateway.core.runs import runs as runs_of
from shoal_gateway.core.search import search
from shoal_gateway.core.standing import standing
from shoal_gateway.core.story import answers_of, decisions_of, tell
from shoal_gateway.shell.answers.base import told, written
from shoal_gateway.shell.answers.experiments import Search
from shoal_gateway.shell.answers.trials import Explanation, Runs, Trial, Trials
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown

router = APIRouter(prefix="/v1/experiments/{experiment_id}")


@router.get("/trials", responses=told(Trials))
async def trials(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> Response:
    """All trials, in the order of their proposal."""
    smaller = await _smaller(use, experiment_id)
    return written({"items": [rows.trial(row, smaller) for row in await _rows(use, experiment_id)]})


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
    experiment_id: str, use: Annotated[Parts, Depends(parts)], trial: str | None = None
) -> Response:
    """Runs, trial by trial, oldest first: each attempt, what it got and what ended it."""
    ids = await ids_of(use, experiment_id, trial)
    found = await use.store.rows([keys.runs(i) for i in ids])
    items = [run for i, its in zip(ids, found, strict=True) for run in runs_of(i, its)]
    return written({"items": items})


@router.get("/searcher", responses=told(Search))
async def searcher(experiment_id: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """How the search stands: its brackets, and how many trials reached each of their rungs."""
    row = await _experiment(use, experiment_id)
    return search(row, await _rows(use, experiment_id))


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
        "now": standing(
            trial_id, story, row, await _rows(use, experiment_id), await _starting(use)
        ),
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


async def _rows(use: Parts, experiment_id: str) -> list[rows.Row]:
    ids = await use.store.members(keys.trials(experiment_id))
    found = await use.store.rows([keys.trial(i) for i in ids])
    return [row for row in found if "number" in row]


async def ids_of(use: Parts, experiment_id: str, trial_id: str | None) -> list[str]:
    """The trials of an experiment, or the one that is named; else a problem."""
    await _smaller(use, experiment_id)
    ids = await use.store.members(keys.trials(experiment_id))
    if trial_id is None:
        return ids
    if trial_id not in ids:
        raise unknown("trial", trial_id)
    return [trial_id]


async def _smaller(use: Parts, experiment_id: str) -> bool:
    return rows.smaller_is_better(await _experiment(use, experiment_id))


async def _experiment(use: Parts, experiment_id: str) -> rows.Row:
    row = await use.store.row(keys.experiment(experiment_id))
    if "config" not in row:
        raise unknown("experiment", experiment_id)
    return row
