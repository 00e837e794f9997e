"""`/v1/pools`: resource pools, and what people ask of them."""

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from shoal_bus.bus import ConflictError
from shoal_contract.base import Id
from shoal_contract.events import (
    Event,
    PoolChangeRequested,
    PoolDrainRequested,
    PoolResumeRequested,
)
from shoal_contract.events.instance import PoolLimits
from shoal_contract.subjects import POOL_REQUESTS, all_of
from shoal_gateway.core import keys, pools
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.answers.base import TAGGED, told
from shoal_gateway.shell.answers.machines import (
    PoolChangeAsked,
    PoolDrainAsked,
    PoolMachines,
    PoolResumeAsked,
    Pools,
)
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.conditions import IfMatch, changed, if_match, tagged
from shoal_gateway.shell.paging import Paging, by, paging
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError, unknown

router = APIRouter(prefix="/v1/pools")

Money = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Limits(BaseModel):
    """The body of a change. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["act", "observe"] | None = None
    min_instances: Count | None = None
    max_instances: Count | None = None
    per_hour: Money | None = None
    """USD that it may spend in a clock hour."""
    per_day: Money | None = None
    """The same for a day (UTC)."""
    reset: bool = False
    """First of all, everything is as the pool's description says."""


class Drain(BaseModel):
    """The body of a request to drain."""

    model_config = ConfigDict(extra="forbid")

    node_id: Id | None = None
    """This node alone; null: all machines of the pool."""


@router.get("", responses=told(Pools))
async def all_pools(
    use: Annotated[Parts, Depends(parts)], paging: Annotated[Paging, Depends(paging)]
) -> dict[str, Any]:
    """The pools that the provisioner serves, by name."""
    names = await use.store.members(keys.POOLS)
    rows = await use.store.rows([keys.pool(name) for name in names])
    machines = await _machines(use)
    served = (
        pools.pool(row, [m for m in machines if m["pool"] == row["pool"]])
        for row in rows
        if row.get("served")
    )
    return paging.of(served, by("pool"))


@router.get("/{pool}", responses=told(PoolMachines, headers=TAGGED))
async def one_pool(
    pool: str,
    response: Response,
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
) -> Row:
    """One pool, with its machines one by one. Its `ETag` changes with every request to change its
    limits."""
    row, asked = await _row(use, pool), await _asked(use, pool)
    machines = [m for m in await _machines(use) if m["pool"] == pool]
    its = [await use.directory.machine(who, m) for m in machines]
    return tagged(response, pools.pool(row, machines) | {"machines": its}, asked)


@router.patch("/{pool}", status_code=202, responses=told(PoolChangeAsked, 202, 409))
async def change(
    pool: str,
    body: Limits,
    use: Annotated[Parts, Depends(parts)],
    condition: Annotated[IfMatch, Depends(if_match)],
) -> dict[str, Any]:
    """Give a pool other limits. They hold, also after a restart, until they are reset."""
    row, last = await _row(use, pool), await _asked(use, pool)
    condition.check(str(last))
    asked = body.model_dump(exclude_none=True, exclude={"reset"})
    if not asked and not body.reset:
        detail = (
            "There is nothing to change: send mode, min_instances, max_instances, per_hour,"
            " per_day or reset."
        )
        raise ProblemError(422, detail, kind="urn:shoal:problem:request")
    changes = {} if body.reset else row.get("changes") or {}
    limits = row["limits"] | changes | asked
    if limits["min_instances"] > limits["max_instances"]:
        detail = (
            f"min_instances ({limits['min_instances']}) must not exceed"
            f" max_instances ({limits['max_instances']})."
        )
        raise ProblemError(409, detail, kind="urn:shoal:problem:pool")
    event = PoolChangeRequested(pool=pool, changes=PoolLimits(**asked), reset=body.reset)
    try:
        await _ask(use, event, "pool-change", last if condition.given else None)
    except ConflictError as error:
        raise changed() from error
    return {"pool": pool, "requested": "change", "limits": limits}


@router.post("/{pool}/drain", status_code=202, responses=told(PoolDrainAsked, 202))
async def drain(
    pool: str, use: Annotated[Parts, Depends(parts)], body: Drain | None = None
) -> dict[str, Any]:
    """Let all machines of a pool checkpoint and go; none starts until it is to go on. Or one
    node: it is not used again until its worker comes back."""
    node_id = body.node_id if body is not None else None
    if node_id is None:
        await _row(use, pool)
    else:
        node = await use.store.row(keys.node(node_id))
        if node.get("pool") != pool or node.get("state") == "removed":
            detail = f"The pool {pool} has no node {node_id!r}."
            raise ProblemError(404, detail, kind="urn:shoal:problem:unknown")
    await _ask(use, PoolDrainRequested(pool=pool, node_id=node_id), "pool-drain")
    return {"pool": pool, "requested": "drain", "node_id": node_id}


@router.post("/{pool}/resume", status_code=202, responses=told(PoolResumeAsked, 202))
async def resume(pool: str, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Let a pool that was drained start machines again."""
    await _row(use, pool)
    await _ask(use, PoolResumeRequested(pool=pool), "pool-resume")
    return {"pool": pool, "requested": "resume"}


async def _row(use: Parts, name: str) -> Row:
    row = await use.store.row(keys.pool(name))
    if not row.get("served"):
        raise unknown("pool", name)
    return row


async def _machines(use: Parts) -> list[Row]:
    """Machines that have not ended, in the order in which they were asked for."""
    ids = list(await use.store.row(keys.MACHINES))
    rows = [row for row in await use.store.rows([keys.instance(i) for i in ids]) if row]
    return sorted(rows, key=lambda row: row["requested_at"])


async def _asked(use: Parts, pool: str) -> int:
    """The number of the last request to change a pool's limits."""
    return await use.bus.last_of(POOL_REQUESTS, all_of(PoolChangeRequested.type, pool))


async def _ask(use: Parts, event: Event, verb: str, after: int | None = None) -> None:
    await use.publish(event, "-".join((verb, *event.key_values, secrets.token_hex(8))), after)
