"""`/v1/queue`, and what people ask of it: another share, one trial ahead of another."""

from operator import itemgetter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.base import Id
from shoal_contract.events import ShareChangeRequested, TrialMoveRequested
from shoal_contract.ids import experiment_of_trial
from shoal_contract.roles import Role
from shoal_gateway.core import keys, rows
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.experiments import ShareRequested
from shoal_gateway.shell.answers.machines import Queue
from shoal_gateway.shell.answers.trials import TrialMoved
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import IfMatch, if_match
from shoal_gateway.shell.paging import Cursor, Paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown
from shoal_gateway.shell.routes.requests import ask, ask_if, under_way
from shoal_gateway.shell.routes.trials import trial

router = APIRouter(prefix="/v1")


class Share(BaseModel):
    """The body of a change of an experiment's share. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """In pools that share fairly: twice the weight, twice the slots."""
    priority: Annotated[int, Field(ge=1, le=99)] | None = None
    """In pools that go by priority: the smaller is served first."""
    max_slots: Annotated[int, Field(ge=0)] | None = None
    """At once; 0: no limit."""
    hold: bool | None = None
    """True: nothing of it starts, and what runs goes on. False: it may start again."""


class Move(BaseModel):
    """The body of a move in the queue."""

    model_config = ConfigDict(extra="forbid")

    ahead_of: Id
    """Another trial that waits."""


@router.get("/queue", responses=told(Queue))
async def queue(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    pool: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Attempts that wait for slots, pool by pool, the first in line first: since when and why,
    and when each may start, where that can be told. `waiting`: how many there are in all."""
    tables = (keys.QUEUE, keys.WAITING, keys.MOVED, keys.SHARES)
    found = rows.queue(*await use.store.rows(tables))
    chosen = [pair for pair in found if pool is None or pool in pair[1]["pools"]]
    seen = set(await use.directory.seen(who, (row["trial_id"] for _, row in chosen)))
    items = (pair for pair in chosen if pair[1]["trial_id"] in seen)
    page = Paging(limit, cursor).of(items, itemgetter(0))
    return page | {"items": [row for _, row in page["items"]], "waiting": len(chosen)}


@router.patch(
    "/experiments/{experiment_id}/share", status_code=202, responses=told(ShareRequested, 202, 409)
)
async def share(
    experiment_id: str,
    body: Share,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Give an experiment another weight, priority or limit, or hold it. Pools follow at once."""
    asked = body.model_dump(exclude_none=True)
    if not asked:
        detail = "There is nothing to change: send weight, priority, max_slots or hold."
        raise ProblemError(422, detail, kind="urn:shoal:problem:request")
    await under_way(use, experiment_id)
    event = ShareChangeRequested(experiment_id=experiment_id, **asked)
    await ask_if(condition, use, event, "share")
    return {"experiment_id": experiment_id, "requested": "share", **asked}


@router.post(
    "/experiments/{experiment_id}/trials/{trial_id}/move",
    status_code=202,
    responses=told(TrialMoved, 202, 409),
)
async def move(
    experiment_id: str,
    trial_id: str,
    body: Move,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
) -> dict[str, Any]:
    """Have a waiting trial served before another that waits. Priorities and shares still count."""
    await trial(experiment_id, trial_id, use)
    if not await use.directory.may(who, Role.EDITOR, experiment_of_trial(body.ahead_of)):
        raise unknown("trial", body.ahead_of)
    if trial_id == body.ahead_of:
        raise ProblemError(
            422, "A trial cannot go ahead of itself.", kind="urn:shoal:problem:request"
        )
    waiting = {row["trial_id"]: row["pool"] for row in (await use.store.row(keys.QUEUE)).values()}
    for name in (trial_id, body.ahead_of):
        if name not in waiting:
            detail = f"The trial {name} waits for no slots: only those that wait can be moved."
            raise ProblemError(409, detail, kind="urn:shoal:problem:queue")
    if waiting[trial_id] != waiting[body.ahead_of]:
        detail = (
            f"The trials wait in different pools: {trial_id} in {waiting[trial_id]},"
            f" {body.ahead_of} in {waiting[body.ahead_of]}."
        )
        raise ProblemError(409, detail, kind="urn:shoal:problem:queue")
    event = TrialMoveRequested(
        experiment_id=experiment_id, trial_id=trial_id, ahead_of=body.ahead_of
    )
    await ask(use, event, "move")
    return {"trial_id": trial_id, "requested": "move", "ahead_of": body.ahead_of}
