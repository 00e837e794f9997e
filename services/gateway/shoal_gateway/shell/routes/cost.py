"""`/v1/cost`: what machines cost, and what for."""

import re
import time
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from shoal_gateway.core import cost, keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.machines import Cost
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown, wrong

router = APIRouter(prefix="/v1")


@router.get("/cost", responses=told(Cost, 200, 404))
async def costs(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    experiment: str | None = None,
    pool: str | None = None,
    since: str | None = None,
) -> dict[str, Any]:
    """USD spent since the beginning of a day (UTC), in all and by experiment, pool, kind of machine
    and day; what the same would have cost on demand; what was used, lost, idle or starting.
    `since`: a day such as `2026-01-31`, or `7d`: the last seven, today included."""
    if experiment is not None and not await use.directory.sees(who, experiment):
        raise unknown("experiment", experiment)
    if pool is not None and not await use.store.row(keys.pool(pool)):
        raise unknown("pool", pool)
    now = time.time()
    today = datetime.fromtimestamp(now, UTC).date()
    first = _day(since, today)
    days = [d for d in await use.store.members(keys.COST_DAYS) if first is None or d >= first]
    rows = await use.store.rows([keys.cost(day) for day in days])
    found = cost.cells(dict(zip(days, rows, strict=True)))
    ids = list(await use.store.row(keys.MACHINES))
    machines = await use.store.rows([keys.instance(i) for i in ids])
    cost.add_running(found, today.isoformat(), machines, _begin(first), now)
    names = {cell[3] for cell in found if cell[3]}
    hidden = [] if who.sees_all else [n for n in names if not await use.directory.sees(who, n)]
    return {"since": first, "until": now, **cost.bill(found, pool, experiment, hidden)}


def _day(text: str | None, today: date) -> str | None:
    if text is None:
        return None
    if match := re.fullmatch(r"(\d{1,5})d", text):
        return (today - timedelta(days=max(1, int(match[1])) - 1)).isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        detail = f"{text!r} is no day: send one such as {today.isoformat()}, or 7d."
        raise wrong("since", detail) from None


def _begin(first: str | None) -> float:
    if first is None:
        return 0.0
    return datetime.combine(date.fromisoformat(first), datetime.min.time(), UTC).timestamp()
