"""`/v1/nodes`, `/v1/instances`, `/v1/queue`: machines, and what waits for them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from shoal_gateway.core import keys, rows
from shoal_gateway.shell.parts import Parts, parts

router = APIRouter(prefix="/v1")


@router.get("/nodes")
async def nodes(use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Nodes, in the order in which they were admitted, with the use of their slots."""
    ids = await use.store.members(keys.NODES)
    found = await use.store.rows([keys.node(i) for i in ids])
    allocations = list((await use.store.row(keys.ALLOCATIONS)).values())
    return {"items": rows.nodes(found, allocations)}


@router.get("/instances")
async def instances(use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Machines that the provisioner asked for, in that order."""
    ids = await use.store.members(keys.INSTANCES)
    return {"items": await use.store.rows([keys.instance(i) for i in ids])}


@router.get("/queue")
async def queue(use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Attempts that wait for slots, the first in line first."""
    return {"items": rows.queue(list((await use.store.row(keys.QUEUE)).values()))}
