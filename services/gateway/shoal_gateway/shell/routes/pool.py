"""`/v1/nodes`, `/v1/instances`: machines."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from shoal_gateway.core import keys, rows
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.machines import Instances, Nodes
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.parts import Parts, parts

router = APIRouter(prefix="/v1")


@router.get("/nodes", responses=told(Nodes))
async def nodes(
    who: Annotated[Caller, Depends(caller)], use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """Nodes, in the order in which they were admitted, with the use of their slots."""
    ids = await use.store.members(keys.NODES)
    found = await use.store.rows([keys.node(i) for i in ids])
    allocations = list((await use.store.row(keys.ALLOCATIONS)).values())
    items = rows.nodes(found, allocations)
    return {"items": [n | {"trials": await use.directory.seen(who, n["trials"])} for n in items]}


@router.get("/instances", responses=told(Instances))
async def instances(
    who: Annotated[Caller, Depends(caller)], use: Annotated[Parts, Depends(parts)]
) -> dict[str, Any]:
    """Machines that the provisioner asked for, in that order."""
    ids = await use.store.members(keys.INSTANCES)
    found = await use.store.rows([keys.instance(i) for i in ids])
    return {"items": [await use.directory.machine(who, row) for row in found]}
